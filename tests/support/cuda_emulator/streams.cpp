// Runs the work of streams only where the program waits for it. With a seed, now and then another stream's work runs first.
#include "streams.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "api.hpp"
#include "block.hpp"
#include "capture.hpp"
#include "host_api.hpp"
#include "where.hpp"

namespace emulator {
namespace {

struct {
    std::vector<CUstream_st*> streams;  // in the order of their creation
    std::set<const CUevent_st*> events;
} queues;

void step(CUstream_st& stream) {
    Work work = std::move(stream.work.front());
    stream.work.pop_front();
    try {
        if (work.run) work.run();
    } catch (...) {
        // As on a device with a sticky error, nothing that was queued runs any more.
        for (CUstream_st* other : queues.streams) other->work.clear();
        throw;
    }
}

bool can_step(const CUstream_st& stream) {
    return !stream.work.empty() && stream.work.front().can_run();
}

// The stream whose next step brings this one on: itself, or the one whose event it waits for.
CUstream_st& needed_for(CUstream_st& stream) {
    CUstream_st* needed = &stream;
    for (std::size_t i = 0; i <= queues.streams.size(); ++i) {
        if (can_step(*needed)) return *needed;
        CUstream_st* next = needed->work.empty() ? nullptr : needed->work.front().awaited->stream;
        if (next == nullptr) break;
        needed = next;
    }
    throw Error("streams wait for each other, or for work that a failed kernel has dropped");
}

cudaError_t create(cudaStream_t* stream, unsigned flags) {
    return api_call([=] {
        if (flags > cudaStreamNonBlocking) return cudaErrorInvalidValue;
        *stream = new CUstream_st{current_device(), (flags & cudaStreamNonBlocking) == 0};
        queues.streams.push_back(*stream);
        return cudaSuccess;
    });
}

bool is_event(const CUevent_st* event) {
    return queues.events.count(event) != 0;
}

// For calls that wait or ask: not allowed on what is being captured, and they break the capture.
cudaError_t refuse_captured(const CUstream_st* stream) {
    if (stream == nullptr || stream->capture == nullptr) return cudaSuccess;
    stream->capture->invalid = true;
    return cudaErrorStreamCaptureUnsupported;
}

}  // namespace

bool is_open(const CUstream_st* stream) {
    return stream == nullptr || std::find(queues.streams.begin(), queues.streams.end(), stream) != queues.streams.end();
}

int device_of(const CUstream_st* stream) {
    return stream == nullptr ? current_device() : stream->device;
}

cudaError_t give(CUstream_st* stream, std::function<void()> run) {
    if (!is_open(stream)) return cudaErrorInvalidResourceHandle;
    if (stream == nullptr) {
        if (const cudaError_t refused = refuse_while_capturing(cudaErrorStreamCaptureImplicit); refused != cudaSuccess) return refused;
        drain_blocking();
        run();
        return cudaSuccess;
    }
    if (stream->capture != nullptr) return add_node(*stream, std::move(run));
    stream->work.push_back({std::move(run), nullptr});
    return cudaSuccess;
}

void advance(CUstream_st& stream) {
    if (stream.work.empty()) return;
    if (random_below(2) == 0) {
        step(needed_for(stream));
        return;
    }
    std::vector<CUstream_st*> able;
    std::copy_if(queues.streams.begin(), queues.streams.end(), std::back_inserter(able), [](const auto* s) { return can_step(*s); });
    step(able.empty() ? needed_for(stream) : *able[random_below(able.size())]);
}

void drain(CUstream_st& stream) {
    while (!stream.work.empty()) advance(stream);
}

void drain_all() {
    for (std::size_t i = 0; i < queues.streams.size(); ++i) drain(*queues.streams[i]);
}

void drain_blocking() {
    for (std::size_t i = 0; i < queues.streams.size(); ++i) {
        if (queues.streams[i]->waits_for_null) drain(*queues.streams[i]);
    }
}

void drain_until(const Record& record) {
    while (!record.has_run) {
        if (!is_open(record.stream) || record.stream->work.empty()) throw Error("an event waits for work that a failed kernel has dropped");
        advance(*record.stream);
    }
}

}  // namespace emulator

using namespace emulator;

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
    return create(stream, cudaStreamDefault);
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
    return create(stream, flags);
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
    return create(stream, flags);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    return api_release([=] {
        if (stream == nullptr || !is_open(stream)) return cudaErrorInvalidResourceHandle;
        if (stream->capture != nullptr) stream->capture->invalid = true;
        const auto forget = [=] {
            std::erase(queues.streams, stream);
            delete stream;
        };
        try {
            drain(*stream);
        } catch (...) {
            forget();
            throw;
        }
        forget();
        return cudaSuccess;
    });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    return api_call([=] {
        if (!is_open(stream)) return cudaErrorInvalidResourceHandle;
        if (const cudaError_t refused = refuse_captured(stream); refused != cudaSuccess) return refused;
        if (stream != nullptr) {
            drain(*stream);
            return cudaSuccess;
        }
        if (const cudaError_t refused = refuse_while_capturing(cudaErrorStreamCaptureImplicit); refused != cudaSuccess) return refused;
        drain_blocking();
        return cudaSuccess;
    });
}

cudaError_t cudaDeviceSynchronize() {
    return api_call([] {
        if (const cudaError_t refused = refuse_while_capturing(cudaErrorStreamCaptureUnsupported); refused != cudaSuccess) return refused;
        for (std::size_t i = 0; i < queues.streams.size(); ++i) {
            if (queues.streams[i]->device == current_device()) drain(*queues.streams[i]);
        }
        return cudaSuccess;
    });
}

// Each question brings the work on by one step, so that a loop that asks comes to its end.
cudaError_t cudaStreamQuery(cudaStream_t stream) {
    return api_call([=] {
        if (!is_open(stream)) return cudaErrorInvalidResourceHandle;
        if (const cudaError_t refused = refuse_captured(stream); refused != cudaSuccess) return refused;
        if (stream == nullptr || stream->work.empty()) return cudaSuccess;
        advance(*stream);
        return cudaErrorNotReady;
    });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
    return api_call([=] {
        if (!is_open(stream) || !is_event(event)) return cudaErrorInvalidResourceHandle;
        if (flags != 0) return cudaErrorInvalidValue;
        if (stream != nullptr && (event->capture != nullptr || stream->capture != nullptr)) return join_capture(*stream, *event);
        if (event->capture != nullptr) return cudaErrorStreamCaptureImplicit;
        // A later record of the event does not count, and before any there is nothing to wait for.
        if (event->record == nullptr) return cudaSuccess;
        if (stream != nullptr) {
            stream->work.push_back({{}, event->record});
        } else {
            drain_until(*event->record);
        }
        return cudaSuccess;
    });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
    return api_call([=] { return give(stream, [=] { function(data); }); });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
    return api_call([=] {
        *event = new CUevent_st{current_device(), flags};
        queues.events.insert(*event);
        return cudaSuccess;
    });
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    return api_release([=] {
        if (queues.events.erase(event) == 0) return cudaErrorInvalidResourceHandle;
        delete event;
        return cudaSuccess;
    });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    return api_call([=] {
        if (!is_open(stream) || !is_event(event) || event->device != device_of(stream)) return cudaErrorInvalidResourceHandle;
        if (stream != nullptr && stream->capture != nullptr) {
            event->capture = stream->capture;
            event->nodes = stream->last_nodes;
            return cudaSuccess;
        }
        event->capture = nullptr;
        event->record = std::make_shared<Record>(Record{stream});
        return give(stream, [record = event->record] { record->has_run = true; });
    });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    return api_call([=] {
        if (!is_event(event)) return cudaErrorInvalidResourceHandle;
        if (event->capture != nullptr) return cudaErrorCapturedEvent;
        if (event->record != nullptr) drain_until(*event->record);
        return cudaSuccess;
    });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
    return api_call([=] {
        if (!is_event(event)) return cudaErrorInvalidResourceHandle;
        if (event->capture != nullptr) return cudaErrorCapturedEvent;
        if (event->record == nullptr || event->record->has_run) return cudaSuccess;
        if (!is_open(event->record->stream)) return cudaErrorLaunchFailure;
        advance(*event->record->stream);
        return cudaErrorNotReady;
    });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
    return api_call([=] {
        for (const cudaEvent_t event : {start, end}) {
            if (!is_event(event) || event->record == nullptr || (event->flags & cudaEventDisableTiming) != 0) {
                return cudaErrorInvalidResourceHandle;
            }
            if (!event->record->has_run) return cudaErrorNotReady;
        }
        *milliseconds = 0;
        return cudaSuccess;
    });
}

// The rules of capture are CUDA's: forks and joins by events within the capture, every fork joined before its end, nothing that waits.
#include "capture.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "api.hpp"
#include "host_api.hpp"

namespace emulator {
namespace {

std::vector<std::weak_ptr<Capture>> captures;

void add_new(std::vector<std::size_t>& nodes, const std::vector<std::size_t>& others) {
    for (const std::size_t node : others) {
        if (std::find(nodes.begin(), nodes.end(), node) == nodes.end()) nodes.push_back(node);
    }
}

// True if the stream's last nodes come after all others.
bool everything_is_joined(const Capture& capture, const CUstream_st& stream) {
    std::vector<bool> reached(capture.nodes.size());
    for (const std::size_t last : stream.last_nodes) reached[last] = true;
    for (std::size_t node = capture.nodes.size(); node-- > 0;) {
        if (!reached[node]) return false;  // nodes come after those they wait for
        for (const std::size_t before : capture.nodes[node].after) reached[before] = true;
    }
    return true;
}

}  // namespace

cudaError_t add_node(CUstream_st& stream, std::function<void()> run) {
    Capture& capture = *stream.capture;
    if (capture.invalid) return cudaErrorStreamCaptureInvalidated;
    capture.nodes.push_back({std::move(run), stream.last_nodes});
    stream.last_nodes = {capture.nodes.size() - 1};
    return cudaSuccess;
}

cudaError_t join_capture(CUstream_st& stream, const CUevent_st& event) {
    if (event.capture == nullptr) {
        stream.capture->invalid = true;
        return cudaErrorStreamCaptureIsolation;
    }
    if (event.capture->invalid) return cudaErrorStreamCaptureInvalidated;
    if (stream.capture == nullptr) {
        stream.capture = event.capture;
        stream.capture->streams.push_back(&stream);
    }
    if (stream.capture != event.capture) {
        stream.capture->invalid = event.capture->invalid = true;
        return cudaErrorStreamCaptureMerge;
    }
    add_new(stream.last_nodes, event.nodes);
    return cudaSuccess;
}

cudaError_t refuse_while_capturing(cudaError_t error) {
    cudaError_t result = cudaSuccess;
    for (const auto& weak : captures) {
        const auto capture = weak.lock();
        if (capture == nullptr || capture->streams.empty() || capture->mode == cudaStreamCaptureModeRelaxed) continue;
        capture->invalid = true;
        result = error;
    }
    return result;
}

}  // namespace emulator

using namespace emulator;

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
    return api_call([=] {
        if (!is_open(stream)) return cudaErrorInvalidResourceHandle;
        if (stream == nullptr) return cudaErrorStreamCaptureUnsupported;
        if (stream->capture != nullptr) return cudaErrorInvalidValue;
        stream->capture = std::make_shared<Capture>(Capture{stream, mode});
        stream->capture->streams.push_back(stream);
        std::erase_if(captures, [](const auto& weak) { return weak.expired(); });
        captures.push_back(stream->capture);
        return cudaSuccess;
    });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    return api_call([=] {
        *graph = nullptr;
        if (stream == nullptr || !is_open(stream)) return cudaErrorInvalidResourceHandle;
        if (stream->capture == nullptr) return cudaErrorInvalidValue;
        const auto capture = stream->capture;
        if (capture->origin != stream) {
            capture->invalid = true;
            return cudaErrorStreamCaptureUnmatched;
        }
        const bool joined = everything_is_joined(*capture, *stream);
        for (CUstream_st* member : capture->streams) {
            if (!is_open(member) || member->capture != capture) continue;
            member->capture = nullptr;
            member->last_nodes.clear();
        }
        capture->streams.clear();
        if (capture->invalid) return cudaErrorStreamCaptureInvalidated;
        if (!joined) return cudaErrorStreamCaptureUnjoined;
        *graph = new_graph(capture->nodes);
        return cudaSuccess;
    });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
    return api_call([=] {
        if (!is_open(stream)) return cudaErrorInvalidResourceHandle;
        if (stream == nullptr || stream->capture == nullptr) {
            *status = cudaStreamCaptureStatusNone;
        } else {
            *status = stream->capture->invalid ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive;
        }
        return cudaSuccess;
    });
}

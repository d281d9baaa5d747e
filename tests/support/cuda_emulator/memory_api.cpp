// cudaMalloc, cudaMemcpy and their kin.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>

#include "api.hpp"
#include "capture.hpp"
#include "checker.hpp"
#include "device_memory.hpp"
#include "emulator.hpp"
#include "host_api.hpp"
#include "ptx/constants.hpp"
#include "streams.hpp"
#include "where.hpp"

namespace emulator {
namespace {

std::map<const void*, std::size_t> pinned;  // host memory by its address
Copied copied;
std::size_t most_allocated = 0;

// Copies have all directions checked when they are given to the stream.
bool direction_is_right(const void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    const bool to_device = is_device_memory(to, bytes), from_device = is_device_memory(from, bytes);
    switch (kind) {
        case cudaMemcpyHostToHost:
            return device_of(to) < 0 && device_of(from) < 0;
        case cudaMemcpyHostToDevice:
            return to_device && device_of(from) < 0;
        case cudaMemcpyDeviceToHost:
            return device_of(to) < 0 && from_device;
        case cudaMemcpyDeviceToDevice:
            return to_device && from_device;
        default:
            return (to_device || device_of(to) < 0) && (from_device || device_of(from) < 0);
    }
}

void require_usable(const void* address, const char* what) {
    if (device_arena().contains(address) && !is_usable(address)) {
        throw Error(std::string(what) + " a buffer that was freed, or whose cudaMallocAsync has not run yet");
    }
}

void copy_now(void* to, const void* from, std::size_t bytes) {
    require_usable(to, "a copy to");
    require_usable(from, "a copy from");
    const DeviceAccess access;
    std::memmove(to, from, bytes);
    const bool to_device = device_arena().contains(to), from_device = device_arena().contains(from);
    if (to_device && from_device) checker::copied(to, from, bytes);
    if (to_device && !from_device) checker::written(to, bytes);
    if (to_device && !from_device) copied.to_device += bytes;
    if (from_device && !to_device) copied.to_host += bytes;
}

cudaError_t copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    if (bytes == 0) return cudaSuccess;
    if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault) return cudaErrorInvalidMemcpyDirection;
    if (to == nullptr || from == nullptr || !direction_is_right(to, from, bytes, kind)) return cudaErrorInvalidValue;
    return give(stream, [=] { copy_now(to, from, bytes); });
}

cudaError_t set(void* pointer, int value, std::size_t bytes, cudaStream_t stream) {
    if (bytes == 0) return cudaSuccess;
    if (!is_device_memory(pointer, bytes)) return cudaErrorInvalidValue;
    return give(stream, [=] {
        require_usable(pointer, "a memset of");
        const DeviceAccess access;
        std::memset(pointer, value, bytes);
        checker::written(pointer, bytes);
    });
}

cudaError_t take(void** pointer, int device, std::size_t bytes, bool later) {
    if (pointer == nullptr) return cudaErrorInvalidValue;
    *pointer = nullptr;
    if (bytes == 0) return cudaSuccess;
    if (allocated_bytes(device) + bytes > device_memory_bytes()) return cudaErrorMemoryAllocation;
    *pointer = allocate(device, bytes, later);
    most_allocated = std::max(most_allocated, allocated_bytes());
    return *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}

}  // namespace

Copied copied_bytes() {
    return copied;
}
std::size_t most_allocated_bytes() {
    return most_allocated;
}
void forget_most_allocated() {
    most_allocated = allocated_bytes();
}

cudaError_t copy_to_symbol(const void* symbol, std::size_t symbol_bytes, const void* from, std::size_t bytes, std::size_t offset,
                           cudaMemcpyKind kind, cudaStream_t stream) {
    return api_call([=] {
        if (kind != cudaMemcpyHostToDevice && kind != cudaMemcpyDefault) return cudaErrorInvalidMemcpyDirection;
        if (offset + bytes > symbol_bytes) return cudaErrorInvalidValue;
        return give(stream, [=] {
            std::memcpy(static_cast<char*>(const_cast<void*>(symbol)) + offset, from, bytes);
            ptx::copy_to_constant(symbol, offset, from, bytes);
        });
    });
}

}  // namespace emulator

using namespace emulator;

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
    return api_call([=] {
        if (const cudaError_t refused = refuse_while_capturing(cudaErrorStreamCaptureUnsupported); refused != cudaSuccess) return refused;
        return take(pointer, current_device(), bytes, false);
    });
}

// Waits for all work, as the real one does.
cudaError_t cudaFree(void* pointer) {
    return api_release([=] {
        if (pointer == nullptr) return cudaSuccess;
        if (const cudaError_t refused = refuse_while_capturing(cudaErrorStreamCaptureUnsupported); refused != cudaSuccess) return refused;
        if (!retire(pointer)) return cudaErrorInvalidValue;
        try {
            drain_all();
        } catch (...) {
            release(pointer);
            throw;
        }
        release(pointer);
        return cudaSuccess;
    });
}

cudaError_t cudaMallocAsync(void** pointer, std::size_t bytes, cudaStream_t stream) {
    return api_call([=] {
        if (!is_open(stream)) return cudaErrorInvalidResourceHandle;
        if (stream != nullptr && stream->capture != nullptr) return cudaErrorStreamCaptureUnsupported;
        const cudaError_t error = take(pointer, device_of(stream), bytes, true);
        if (error != cudaSuccess || *pointer == nullptr) return error;
        return give(stream, [address = *pointer] { begin_allocation(address); });
    });
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
    return api_release([=] {
        if (pointer == nullptr) return cudaSuccess;
        if (!is_open(stream)) return cudaErrorInvalidResourceHandle;
        if (stream != nullptr && stream->capture != nullptr) return cudaErrorStreamCaptureUnsupported;
        if (!retire(pointer)) return cudaErrorInvalidValue;
        return give(stream, [=] { release(pointer); });
    });
}

cudaError_t cudaMallocHost(void** pointer, std::size_t bytes, unsigned) {
    return api_call([=] {
        *pointer = nullptr;
        if (bytes == 0) return cudaSuccess;
        *pointer = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
        if (*pointer == nullptr) return cudaErrorMemoryAllocation;
        std::memset(*pointer, 0xff, bytes);
        pinned[*pointer] = bytes;
        return cudaSuccess;
    });
}
cudaError_t cudaHostAlloc(void** pointer, std::size_t bytes, unsigned flags) {
    return cudaMallocHost(pointer, bytes, flags);
}

cudaError_t cudaFreeHost(void* pointer) {
    return api_release([=] {
        if (pointer == nullptr) return cudaSuccess;
        if (pinned.erase(pointer) == 0) return cudaErrorInvalidValue;
        try {
            drain_all();
        } catch (...) {
            std::free(pointer);
            throw;
        }
        std::free(pointer);
        return cudaSuccess;
    });
}

cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
    return api_call([=] {
        *total_bytes = device_memory_bytes();
        *free_bytes = *total_bytes - std::min(*total_bytes, allocated_bytes(current_device()));
        return cudaSuccess;
    });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
    return api_call([=] {
        const int device = device_of(pointer);
        const auto at = pinned.upper_bound(pointer);
        const bool is_pinned = at != pinned.begin() && pointer < static_cast<const char*>(std::prev(at)->first) + std::prev(at)->second;
        void* address = const_cast<void*>(pointer);
        if (device >= 0) {
            *attributes = {cudaMemoryTypeDevice, device, address, nullptr};
        } else if (is_pinned) {
            *attributes = {cudaMemoryTypeHost, current_device(), nullptr, address};
        } else {
            *attributes = {cudaMemoryTypeUnregistered, -1, nullptr, address};
        }
        return cudaSuccess;
    });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    return api_call([=] { return copy(to, from, bytes, kind, stream); });
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    return api_call([=] { return copy(to, from, bytes, kind, nullptr); });
}
cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, std::size_t bytes, cudaStream_t stream) {
    return api_call([=] {
        if (device_of(to) != to_device || device_of(from) != from_device) return cudaErrorInvalidValue;
        return copy(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
    });
}
cudaError_t cudaMemsetAsync(void* pointer, int value, std::size_t bytes, cudaStream_t stream) {
    return api_call([=] { return set(pointer, value, bytes, stream); });
}
cudaError_t cudaMemset(void* pointer, int value, std::size_t bytes) {
    return api_call([=] { return set(pointer, value, bytes, nullptr); });
}

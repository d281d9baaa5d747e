// Error codes, devices and their properties.
#include "api.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "capture.hpp"
#include "device_memory.hpp"
#include "emulator.hpp"
#include "host_api.hpp"
#include "scheduler.hpp"
#include "streams.hpp"
#include "where.hpp"

namespace emulator {
namespace {

constexpr std::size_t default_shared = 48 * 1024, most_shared = 227 * 1024;
constexpr int version = 12000;  // of CUDA, whose interface this is

int number_from(const char* variable, int otherwise) {
    const char* const text = std::getenv(variable);
    return text == nullptr ? otherwise : std::stoi(text);
}

struct {
    cudaError_t last_error = cudaSuccess;
    std::exception_ptr unthrown;
    std::thread::id host_thread = std::this_thread::get_id();
    int count = number_from("SILOSUM_CUDA_DEVICES", 1), current = 0;
    std::size_t memory = static_cast<std::size_t>(number_from("SILOSUM_CUDA_MIB", 4096)) << 20;
    std::set<std::pair<int, int>> peers;  // (device, whose memory it may use)
    std::map<const void*, std::size_t> shared_limits;
} runtime;

// One line each: the name is the enumerator's, the text CUDA's.
struct ErrorText {
    cudaError_t error;
    const char *name, *text;
};
#define SILOSUM_ERROR(name, text) \
    { name, #name, text }
constexpr ErrorText error_texts[] = {
    SILOSUM_ERROR(cudaSuccess, "no error"),
    SILOSUM_ERROR(cudaErrorInvalidValue, "invalid argument"),
    SILOSUM_ERROR(cudaErrorMemoryAllocation, "out of memory"),
    SILOSUM_ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    SILOSUM_ERROR(cudaErrorInvalidSymbol, "invalid device symbol"),
    SILOSUM_ERROR(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    SILOSUM_ERROR(cudaErrorInvalidDeviceFunction, "invalid device function"),
    SILOSUM_ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    SILOSUM_ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    SILOSUM_ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    SILOSUM_ERROR(cudaErrorNotReady, "device not ready"),
    SILOSUM_ERROR(cudaErrorLaunchOutOfResources, "too many resources requested for launch"),
    SILOSUM_ERROR(cudaErrorPeerAccessAlreadyEnabled, "peer access is already enabled"),
    SILOSUM_ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
    SILOSUM_ERROR(cudaErrorNotSupported, "operation not supported"),
    SILOSUM_ERROR(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    SILOSUM_ERROR(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture"),
    SILOSUM_ERROR(cudaErrorStreamCaptureMerge, "operation would result in a merge of separate capture sequences"),
    SILOSUM_ERROR(cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began"),
    SILOSUM_ERROR(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    SILOSUM_ERROR(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream"),
    SILOSUM_ERROR(cudaErrorStreamCaptureImplicit, "operation would make the legacy stream depend on a capturing blocking stream"),
    SILOSUM_ERROR(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream"),
};
#undef SILOSUM_ERROR

const ErrorText* text_of(cudaError_t error) {
    const auto* found = std::find_if(std::begin(error_texts), std::end(error_texts), [=](const ErrorText& t) { return t.error == error; });
    return found == std::end(error_texts) ? nullptr : found;
}

void require_allowed_call() {
    if (kernel_is_running()) fail("a kernel calls the host's runtime API");
    if (std::this_thread::get_id() != runtime.host_thread) throw Error("calls from a second host thread are not supported");
}

bool exists(int device) {
    return device >= 0 && device < runtime.count;
}

}  // namespace

cudaError_t api_call(const std::function<cudaError_t()>& body) {
    require_allowed_call();
    if (runtime.unthrown) std::rethrow_exception(std::exchange(runtime.unthrown, nullptr));
    if (runtime.count == 0) return keep_error(cudaErrorNoDevice);
    return keep_error(body());
}

cudaError_t api_release(const std::function<cudaError_t()>& body) {
    try {
        require_allowed_call();
        return keep_error(body());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n(found by a call that frees; the next call of the runtime API throws it)\n", error.what());
        runtime.unthrown = std::current_exception();
        return keep_error(cudaErrorLaunchFailure);
    }
}

cudaError_t keep_error(cudaError_t error) {
    if (error != cudaSuccess) runtime.last_error = error;
    return error;
}

int current_device() {
    return runtime.current;
}
int device_count() {
    return runtime.count;
}
std::size_t device_memory_bytes() {
    return runtime.memory;
}
bool can_access(int device, int owner) {
    return device == owner || runtime.peers.count({device, owner}) != 0;
}

std::size_t dynamic_shared_limit(const void* kernel) {
    const auto own = runtime.shared_limits.find(kernel);
    return own == runtime.shared_limits.end() ? default_shared : std::max(own->second, default_shared);
}

void set_devices(int count) {
    if (count < 0 || count > 16) throw Error("set_devices(" + std::to_string(count) + "): 0 to 16 can be emulated");
    for (int device = count; device < runtime.count; ++device) {
        if (allocated_bytes(device) != 0) throw Error("set_devices: device " + std::to_string(device) + " still has allocations");
    }
    runtime.count = count;
    runtime.current = 0;
    runtime.peers.clear();
}

void set_device_memory(std::size_t bytes) {
    if (bytes > std::size_t{4} << 30) throw Error("set_device_memory: at most 4 GiB");
    runtime.memory = bytes;
}

std::size_t allocated_bytes() {
    std::size_t total = 0;
    for (int device = 0; device < runtime.count; ++device) total += allocated_bytes(device);
    return total;
}

}  // namespace emulator

using namespace emulator;

const char* cudaGetErrorName(cudaError_t error) {
    const ErrorText* found = text_of(error);
    return found == nullptr ? "unrecognized error code" : found->name;
}
const char* cudaGetErrorString(cudaError_t error) {
    const ErrorText* found = text_of(error);
    return found == nullptr ? "unrecognized error code" : found->text;
}
cudaError_t cudaGetLastError() {
    return std::exchange(runtime.last_error, cudaSuccess);
}
cudaError_t cudaPeekAtLastError() {
    return runtime.last_error;
}

cudaError_t cudaGetDeviceCount(int* count) {
    return api_call([=] {
        *count = runtime.count;
        return cudaSuccess;
    });
}

cudaError_t cudaSetDevice(int device) {
    return api_call([=] {
        if (!exists(device)) return cudaErrorInvalidDevice;
        runtime.current = device;
        return cudaSuccess;
    });
}

cudaError_t cudaGetDevice(int* device) {
    return api_call([=] {
        *device = runtime.current;
        return cudaSuccess;
    });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
    return api_call([=] {
        if (!exists(device)) return cudaErrorInvalidDevice;
        *properties = {};
        std::strcpy(properties->name, "emulated");
        properties->uuid.bytes[15] = static_cast<char>(device);
        properties->totalGlobalMem = runtime.memory;
        properties->sharedMemPerBlock = default_shared;
        properties->sharedMemPerBlockOptin = most_shared;
        properties->sharedMemPerMultiprocessor = most_shared + 1024;
        properties->regsPerBlock = 65536;
        properties->warpSize = 32;
        properties->maxThreadsPerBlock = 1024;
        const int most_threads[] = {1024, 1024, 64}, most_blocks[] = {2147483647, 65535, 65535};
        std::copy_n(most_threads, 3, properties->maxThreadsDim);
        std::copy_n(most_blocks, 3, properties->maxGridSize);
        properties->maxThreadsPerMultiProcessor = 2048;
        properties->multiProcessorCount = 4;
        properties->major = 9;
        properties->l2CacheSize = 4 << 20;
        properties->pciBusID = device + 1;
        return cudaSuccess;
    });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
    cudaDeviceProp properties;
    const cudaError_t error = cudaGetDeviceProperties(&properties, device);
    if (error != cudaSuccess) return error;
    switch (attribute) {
        case cudaDevAttrMaxThreadsPerBlock:
            *value = properties.maxThreadsPerBlock;
            break;
        case cudaDevAttrMaxSharedMemoryPerBlock:
            *value = static_cast<int>(default_shared);
            break;
        case cudaDevAttrWarpSize:
            *value = properties.warpSize;
            break;
        case cudaDevAttrMultiProcessorCount:
            *value = properties.multiProcessorCount;
            break;
        case cudaDevAttrComputeCapabilityMajor:
            *value = properties.major;
            break;
        case cudaDevAttrComputeCapabilityMinor:
            *value = properties.minor;
            break;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin:
            *value = static_cast<int>(most_shared);
            break;
        case cudaDevAttrMemoryPoolsSupported:
            *value = 1;
            break;
        default:
            return keep_error(cudaErrorInvalidValue);
    }
    return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int device) {
    return api_call([=] {
        if (!exists(device)) return cudaErrorInvalidDevice;
        if (length < 13) return cudaErrorInvalidValue;
        std::snprintf(text, static_cast<std::size_t>(length), "0000:%02x:00.0", static_cast<unsigned>(device + 1) & 0xff);
        return cudaSuccess;
    });
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
    return api_call([=] {
        if (!exists(device) || !exists(peer)) return cudaErrorInvalidDevice;
        *can = device != peer ? 1 : 0;
        return cudaSuccess;
    });
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
    return api_call([=] {
        if (!exists(peer) || peer == runtime.current) return cudaErrorInvalidDevice;
        if (flags != 0) return cudaErrorInvalidValue;
        return runtime.peers.emplace(runtime.current, peer).second ? cudaSuccess : cudaErrorPeerAccessAlreadyEnabled;
    });
}

cudaError_t cudaDriverGetVersion(int* number) {
    *number = version;
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* number) {
    *number = version;
    return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
    return api_call([=] {
        if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) return cudaSuccess;
        if (value < 0 || static_cast<std::size_t>(value) > most_shared) return cudaErrorInvalidValue;
        runtime.shared_limits[kernel] = static_cast<std::size_t>(value);
        return cudaSuccess;
    });
}

// Takes a launch from the program to its stream.
#include "launch.hpp"

#include <map>
#include <utility>

#include "api.hpp"
#include "device_memory.hpp"
#include "host_api.hpp"
#include "ptx/kernels.hpp"
#include "scheduler.hpp"
#include "streams.hpp"

namespace emulator {
namespace {

std::map<const void*, KnownKernel>& known_kernels() {
    static std::map<const void*, KnownKernel> kernels;
    return kernels;
}

cudaError_t check_shape(const Launch& launch) {
    const dim3 &blocks = launch.blocks, &threads = launch.threads;
    const std::uint64_t per_block = std::uint64_t{threads.x} * threads.y * threads.z;
    if (per_block < 1 || per_block > 1024 || threads.z > 64) return cudaErrorInvalidConfiguration;
    if (blocks.x < 1 || blocks.x > 0x7fffffff || blocks.y < 1 || blocks.y > 65535 || blocks.z < 1 || blocks.z > 65535) {
        return cudaErrorInvalidConfiguration;
    }
    if (launch.shared_bytes > dynamic_shared_limit(launch.kernel)) return cudaErrorInvalidValue;
    if (std::uint64_t{blocks.x} * blocks.y * blocks.z > ~0u) throw Error("too many blocks to emulate, launched at " + place(launch.where));
    return cudaSuccess;
}

void check_pointers(const Launch& launch, int device) {
    for (const auto& [index, address] : launch.pointers) {
        if (address == nullptr) continue;
        const int owner = device_of(address);
        if (owner >= 0 && can_access(device, owner)) continue;
        const std::string what = owner < 0 ? " is not a device pointer"
                                           : " is memory of device " + std::to_string(owner) + ", but the stream is of device " +
                                                 std::to_string(device) + ", which has no access to it";
        throw Error("kernel launched at " + place(launch.where) + ": argument " + std::to_string(index) + what);
    }
}

// A graph may outlive the buffers that its kernels were captured with, and a stream may overtake the one that allocates.
void check_pointers_again(const Launch& launch) {
    for (const auto& [index, address] : launch.pointers) {
        if (address != nullptr && !is_usable(address)) {
            throw Error("kernel launched at " + place(launch.where) + ": argument " + std::to_string(index) +
                        " is a buffer that was freed, or whose cudaMallocAsync has not run yet");
        }
    }
}

}  // namespace

void introduce(const void* kernel, const KnownKernel& known) {
    known_kernels().insert_or_assign(kernel, known);
}

cudaError_t checked_launch(const cudaKernelNodeParams& call, Launch& launch) {
    const auto known = known_kernels().find(call.func);
    if (known == known_kernels().end()) return cudaErrorInvalidDeviceFunction;
    launch = known->second.launch(call.func, call.kernelParams);
    launch.blocks = call.gridDim;
    launch.threads = call.blockDim;
    launch.shared_bytes = call.sharedMemBytes;
    launch.where = known->second.where;
    launch.shared_pieces = {{0, launch.shared_bytes, "dynamic shared memory"}};
    if (const cudaError_t error = check_shape(launch); error != cudaSuccess) return error;
    check_pointers(launch, current_device());
    return cudaSuccess;
}

std::function<void()> work_of(Launch launch) {
    return [launch = std::move(launch)] {
        check_pointers_again(launch);
        const DeviceAccess access;
        run_grid(ptx::replaced(launch));
    };
}

}  // namespace emulator

using namespace emulator;

cudaError_t cudaLaunchKernel(const void* kernel, dim3 blocks, dim3 threads, void** arguments, std::size_t shared_bytes,
                             cudaStream_t stream) {
    return api_call([=]() -> cudaError_t {
        if (!is_open(stream) || device_of(stream) != current_device()) return cudaErrorInvalidResourceHandle;
        if (shared_bytes > ~0u) return cudaErrorInvalidValue;
        Launch launch;
        const cudaKernelNodeParams call{const_cast<void*>(kernel),           blocks,    threads,
                                        static_cast<unsigned>(shared_bytes), arguments, nullptr};
        if (const cudaError_t error = checked_launch(call, launch); error != cudaSuccess) return error;
        return give(stream, work_of(std::move(launch)));
    });
}

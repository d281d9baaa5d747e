// Takes a launch from the program to its stream.
#include "launch.hpp"

#include <utility>

#include "api.hpp"
#include "device_memory.hpp"
#include "host_api.hpp"
#include "ptx/kernels.hpp"
#include "scheduler.hpp"
#include "streams.hpp"

namespace emulator {
namespace {

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

void submit(Launch launch, CUstream_st* stream) {
    api_call([&]() -> cudaError_t {
        if (!is_open(stream) || device_of(stream) != current_device()) return cudaErrorInvalidResourceHandle;
        if (const cudaError_t error = check_shape(launch); error != cudaSuccess) return error;
        check_pointers(launch, device_of(stream));
        return give(stream, [launch = std::move(launch)]() mutable {
            check_pointers_again(launch);
            const DeviceAccess access;
            run_grid(ptx::replaced(launch));
        });
    });
}

}  // namespace emulator

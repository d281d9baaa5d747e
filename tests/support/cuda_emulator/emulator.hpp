// What tests say to the emulator itself: which schedule, how many devices.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emulator {

/// 0 runs threads, blocks and streams in order; any other number shuffles them. Error messages name the seed.
void set_seed(std::uint64_t seed);
std::uint64_t seed();

/// How many devices cudaGetDeviceCount finds (at the start SILOSUM_CUDA_DEVICES of the environment, or 1; at most 16; with 0 every call
/// says cudaErrorNoDevice). Only while nothing is allocated on the devices that go; device 0 becomes the current one.
void set_devices(int count);

/// How much each device can hold (at the start SILOSUM_CUDA_MIB of the environment, or 4 GiB, which is also the most), for tests of running
/// out of memory.
void set_device_memory(std::size_t bytes);

/// Bytes allocated on all devices: 0 at the end of a test that freed all it took.
std::size_t allocated_bytes();
/// The most that were allocated at once since the start, or since this was forgotten.
std::size_t most_allocated_bytes();
void forget_most_allocated();

/// Bytes that copies have moved between host and devices since the start.
struct Copied {
    std::size_t to_device = 0;
    std::size_t to_host = 0;
};
Copied copied_bytes();

/// What calls have done with graphs since the start.
struct GraphCalls {
    std::size_t instantiated = 0;
    std::size_t updated = 0;  // nodes of executable graphs
    std::size_t launched = 0;
};
GraphCalls graph_calls();

/// True if kernels run with every access checked, and as the PTX that SILOSUM_CUDA_PTX names.
bool checks_accesses();
bool runs_ptx();

}  // namespace emulator

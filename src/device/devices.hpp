// Which devices this process can train on.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "device/cuda_stream.hpp"

namespace silosum::cuda {

struct DeviceFacts {
    std::string name;
    std::size_t memory_bytes = 0;
    int major = 0;  // of the compute capability
    int minor = 0;
    int multiprocessors = 0;
    std::string bus_id;  // tells the GPUs of a machine apart, also where processes number them otherwise
};

/// GPUs that this process sees, at least one; RuntimeError with the reason where there is none.
[[nodiscard]] SILOSUM_CUDA_ONLY std::vector<DeviceFacts> list_devices();

/// Runs a kernel that does nothing. RuntimeError where the GPU cannot be used, as when this build has no code for it.
SILOSUM_CUDA_ONLY void probe(const CudaStream& stream);

/// CUDA's version that the kernels were built with, "13.0".
[[nodiscard]] SILOSUM_CUDA_ONLY std::string toolkit();

/// True in a build with CUDA.
[[nodiscard]] inline bool is_built() {
    std::vector<DeviceFacts> (*const defined)() = &list_devices;
    return defined != nullptr;
}

}  // namespace silosum::cuda

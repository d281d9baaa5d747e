// The one header with CUDA in it: kernel files and the calls of the CUDA runtime include it. It is real CUDA, unless the target defines
// SILOSUM_CUDA_EMULATED: then a plain C++ compiler finds the same names in the emulator of the tests.
#pragma once

#if defined(SILOSUM_CUDA_EMULATED)
#include "cuda_emulator.hpp"
#define SILOSUM_CUDA_VERSION 0
#else
#include <cuda_runtime.h>
#define SILOSUM_CUDA_VERSION CUDART_VERSION
#endif

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "device/cuda_stream.hpp"
#include "device/where.hpp"

namespace silosum::cuda {

/// Throws RuntimeError with the runtime's name and text of `status`, unless it is cudaSuccess.
void check(cudaError_t status, Where where = Where::current());
/// Throws RuntimeError. (nvcc cannot read the headers of base/error.hpp.)
[[noreturn]] void fail(const std::string& message);

struct Grid {
    dim3 blocks;
    dim3 threads;              // of a block
    std::size_t shared_bytes;  // dynamic shared memory of a block
    Where where;
    Grid(dim3 block_count, dim3 block_size, std::size_t dynamic_shared_bytes = 0, Where caller = Where::current())
        : blocks(block_count), threads(block_size), shared_bytes(dynamic_shared_bytes), where(caller) {}
};

/// One argument of a kernel, where the caller has it.
struct Argument {
    const void* value;
    std::size_t bytes;
    std::size_t alignment;
};

/// Gives the kernel of this address to the stream, or to what the stream records (CudaStream::run_as_graph). Copies the arguments.
void launch_by_address(const void* kernel, const Grid& grid, std::span<const Argument> arguments, const CudaStream& stream);

#if defined(SILOSUM_CUDA_EMULATED) || defined(__CUDACC__)

template <class... Parameters>
void launch_with(const void* kernel, const Grid& grid, const CudaStream& stream, Parameters... values) {
    const std::array<Argument, sizeof...(Parameters)> arguments{Argument{&values, sizeof(Parameters), alignof(Parameters)}...};
    launch_by_address(kernel, grid, arguments, stream);
}

/// kernel<<<...>>>(arguments...) on the stream, with the launch checked; errors name the caller's line. A grid without blocks does nothing.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const Grid& grid, const CudaStream& stream, Arguments&&... arguments) {
    if (grid.blocks.x == 0 || grid.blocks.y == 0 || grid.blocks.z == 0) return;
#if defined(SILOSUM_CUDA_EMULATED)
    emulator::introduce(kernel, {grid.where.file, grid.where.line});
#endif
    launch_with<Parameters...>(reinterpret_cast<const void*>(kernel), grid, stream,
                               static_cast<Parameters>(std::forward<Arguments>(arguments))...);
}

/// The block's dynamic shared memory, aligned for every type that kernels load (`extern __shared__` has no portable spelling).
template <class T>
__device__ inline T* dynamic_shared() {
#if defined(SILOSUM_CUDA_EMULATED)
    return static_cast<T*>(emulator::dynamic_shared());
#else
    extern __shared__ __align__(16) unsigned char bytes[];
    return reinterpret_cast<T*>(bytes);
#endif
}

#endif

}  // namespace silosum::cuda

// One thread for each value, and sums in a fixed order: what most small CUDA kernels consist of.
#pragma once

#include <cstddef>

#include "device/cuda.cuh"

namespace silosum::kernels {

inline constexpr unsigned block_threads = 256;

inline unsigned blocks_for(std::size_t n, std::size_t per_block = block_threads) {
    return static_cast<unsigned>((n + per_block - 1) / per_block);
}

/// Number of this thread in the grid.
__device__ inline std::size_t grid_index() {
    return static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

template <class Body>
__global__ void __launch_bounds__(block_threads) each_kernel(std::size_t n, Body body) {
    const std::size_t i = grid_index();
    if (i < n) body(i);
}

/// body(i) for all i < n, in any order: a struct with a __device__ operator().
template <class Body>
void for_each_index(std::size_t n, const Body& body, const CudaStream& stream, cuda::Where where = cuda::Where::current()) {
    cuda::launch(each_kernel<Body>, {blocks_for(n), block_threads, 0, where}, stream, n, body);
}

/// Sum of `value` over the threads of a block of block_threads, always in the same order; for thread 0, the others get parts of it.
/// All threads call it; `shared` has block_threads / 32 places.
template <class T>
__device__ T sum_of_block(T value, T* shared) {
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_down_sync(0xFFFFFFFFU, value, distance);
    __syncthreads();  // of a sum before
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
    __syncthreads();
    if (threadIdx.x < 32) {
        value = threadIdx.x < block_threads / 32 ? shared[threadIdx.x] : T{};
        for (int distance = block_threads / 64; distance > 0; distance /= 2) value += __shfl_down_sync(0xFFFFFFFFU, value, distance);
    }
    return value;
}

}  // namespace silosum::kernels

// For the kernels of these tests: CUDA's names from the emulator, or from the toolkit where nvcc makes PTX of them; and one way to launch.
#pragma once

#if defined(SILOSUM_CUDA_EMULATED)
#include "cuda_emulator.hpp"
#else
#include <cuda_runtime.h>
#endif

#include <cstddef>
#include <utility>

struct Shape {
    dim3 blocks = 1;
    dim3 threads = 1;
    std::size_t shared_bytes = 0;
    cudaStream_t stream = nullptr;
    // The caller's place.
    const char* file = __builtin_FILE();
    int line = __builtin_LINE();
};

/// On the null stream, unless the shape says otherwise, so that what the emulator finds is thrown here.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const Shape& shape, Arguments&&... arguments) {
#if defined(SILOSUM_CUDA_EMULATED)
    emulator::launch(shape.blocks, shape.threads, shape.shared_bytes, shape.stream, {shape.file, shape.line}, kernel,
                     static_cast<Parameters>(std::forward<Arguments>(arguments))...);
#else
    // clang-format off
    kernel<<<shape.blocks, shape.threads, shape.shared_bytes, shape.stream>>>(static_cast<Parameters>(std::forward<Arguments>(arguments))...);
    // clang-format on
#endif
}

template <class T>
__device__ inline T* dynamic_shared() {
#if defined(SILOSUM_CUDA_EMULATED)
    return static_cast<T*>(emulator::dynamic_shared());
#else
    extern __shared__ __align__(16) unsigned char bytes[];
    return reinterpret_cast<T*>(bytes);
#endif
}

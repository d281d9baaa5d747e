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

/// Before a call of the runtime takes the kernel by its address.
template <class... Parameters>
void introduce([[maybe_unused]] void (*kernel)(Parameters...), [[maybe_unused]] const Shape& shape) {
#if defined(SILOSUM_CUDA_EMULATED)
    emulator::introduce(kernel, {shape.file, shape.line});
#endif
}

template <class... Parameters>
void launch_with(const void* kernel, const Shape& shape, Parameters... values) {
    void* arguments[] = {&values..., nullptr};
    static_cast<void>(cudaLaunchKernel(kernel, shape.blocks, shape.threads, arguments, shape.shared_bytes, shape.stream));
}

/// On the null stream, unless the shape says otherwise, so that what the emulator finds is thrown here.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const Shape& shape, Arguments&&... arguments) {
    introduce(kernel, shape);
    launch_with<Parameters...>(reinterpret_cast<const void*>(kernel), shape, static_cast<Parameters>(std::forward<Arguments>(arguments))...);
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

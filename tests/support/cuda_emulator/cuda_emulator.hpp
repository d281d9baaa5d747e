// CUDA for a plain C++ compiler, as far as the project's kernels need it: every CUDA thread is a fibre, blocks run one after the other, and
// streams run as late as the program lets them. docs/cuda-emulator.md says what that finds. One host thread only: calls from a second one
// are errors.
#pragma once

#include "vector_types.hpp"
//
#include "atomics.hpp"
#include "copy_async.hpp"
#include "device_functions.hpp"
#include "emulator.hpp"
#include "host_api.hpp"
#include "launch.hpp"
#include "warp_functions.hpp"
#include "where.hpp"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))
#define __constant__ static

// Static shared variables lie in the program's thread-local block, where the emulator finds them by their symbols: it fills them with 0xff
// before each block and checks the accesses. Spread out, so that an index past an array's end often meets nothing. Under AddressSanitizer
// they are plain statics, as those get red zones.
#if defined(__SANITIZE_ADDRESS__)
#define __shared__ static
#else
#define __shared__ static thread_local __attribute__((aligned(64)))
#endif

// Set at every switch to another thread of the block.
inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

[[noreturn]] inline void __trap() {
    emulator::fail("a thread called __trap()");
}

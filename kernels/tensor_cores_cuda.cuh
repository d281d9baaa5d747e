// Products on tensor cores in TF32: floats of which the leading 11 bits count, added up as float32. From compute capability 8.0 on.
#pragma once

#include "device/cuda.cuh"

namespace silosum::kernels {

/// The nearest number of TF32, of two the one further from 0, as `cvt.rna.tf32` does. By integers, so that it is the same everywhere.
__device__ inline float rounded_to_tf32(float value) {
    const unsigned bits = __float_as_uint(value);
    constexpr unsigned exponent = 0x7F800000U, dropped = 0x1FFFU;
    if ((bits & exponent) == exponent) return value;  // infinite, or a NaN, whose leading bit stays
    return __uint_as_float((bits + (dropped + 1) / 2) & ~dropped);
}

/// c += a b for a (16 x 8), b (8 x 8), c (16 x 8) that are spread over a warp, all of which calls it. Lane l has, with g = l / 4 and p = l % 4,
/// a(g, p), a(g + 8, p), a(g, p + 4), a(g + 8, p + 4); b(p, g), b(p + 4, g); c(g, 2 p), c(g, 2 p + 1), c(g + 8, 2 p), c(g + 8, 2 p + 1).
__device__ inline void multiply_add_tf32(float (&c)[4], const float (&a)[4], const float (&b)[2]) {
#if defined(SILOSUM_CUDA_EMULATED)
    emulator::multiply_add_tf32(c, a, b);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])), "r"(__float_as_uint(a[3])),
                   "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
#else
    (void)c, (void)a, (void)b;
    __trap();  // local.math = tf32 is refused there
#endif
}

}  // namespace silosum::kernels

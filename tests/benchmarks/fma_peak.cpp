#include "kernels/simd.hpp"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/benchmarks/fma_peak.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstddef>

#include "base/process.hpp"
#include "tests/benchmarks/fma_peak.hpp"

#ifndef SILOSUM_IN_REGISTER
#if defined(__x86_64__)
#define SILOSUM_IN_REGISTER(vector) "+x"(vector.raw)
#elif defined(__aarch64__)
#define SILOSUM_IN_REGISTER(vector) "+w"(vector.raw)
#endif
#endif

HWY_BEFORE_NAMESPACE();
namespace silosum {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// `steps` times twelve independent multiply-adds: more than latency times throughput of any core so far. Returns operations done.
double multiply_add(std::size_t steps, float start, float* sink) {
    const hn::ScalableTag<float> tag;
    const auto factor = hn::Set(tag, 1.0F - start);
    const auto addend = hn::Set(tag, start);
    auto a0 = hn::Set(tag, start);
    auto a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0, a8 = a0, a9 = a0, a10 = a0, a11 = a0;
    for (std::size_t i = 0; i < steps; ++i) {
        a0 = hn::MulAdd(a0, factor, addend);
        a1 = hn::MulAdd(a1, factor, addend);
        a2 = hn::MulAdd(a2, factor, addend);
        a3 = hn::MulAdd(a3, factor, addend);
        a4 = hn::MulAdd(a4, factor, addend);
        a5 = hn::MulAdd(a5, factor, addend);
        a6 = hn::MulAdd(a6, factor, addend);
        a7 = hn::MulAdd(a7, factor, addend);
        a8 = hn::MulAdd(a8, factor, addend);
        a9 = hn::MulAdd(a9, factor, addend);
        a10 = hn::MulAdd(a10, factor, addend);
        a11 = hn::MulAdd(a11, factor, addend);
#ifdef SILOSUM_IN_REGISTER
        // Equal chains would be folded into one: the compiler must not know what is in them.
        asm volatile("" : SILOSUM_IN_REGISTER(a0), SILOSUM_IN_REGISTER(a1), SILOSUM_IN_REGISTER(a2), SILOSUM_IN_REGISTER(a3));
        asm volatile("" : SILOSUM_IN_REGISTER(a4), SILOSUM_IN_REGISTER(a5), SILOSUM_IN_REGISTER(a6), SILOSUM_IN_REGISTER(a7));
        asm volatile("" : SILOSUM_IN_REGISTER(a8), SILOSUM_IN_REGISTER(a9), SILOSUM_IN_REGISTER(a10), SILOSUM_IN_REGISTER(a11));
#endif
    }
    const auto sum = hn::Add(hn::Add(hn::Add(a0, a1), hn::Add(a2, a3)),
                             hn::Add(hn::Add(hn::Add(a4, a5), hn::Add(a6, a7)), hn::Add(hn::Add(a8, a9), hn::Add(a10, a11))));
    *sink = hn::GetLane(sum);
    return 2.0 * 12.0 * static_cast<double>(hn::Lanes(tag)) * static_cast<double>(steps);
}

}  // namespace HWY_NAMESPACE
}  // namespace silosum
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace silosum {

namespace {
HWY_EXPORT(multiply_add);
}  // namespace

double measure_fma_peak(double seconds) {
    volatile float start = 1e-6F;
    float sink = 0;
    double operations = 0;
    const double begin = cpu_seconds();
    double used = 0;
    do {
        operations += HWY_DYNAMIC_DISPATCH(multiply_add)(100000, start, &sink);
        used = cpu_seconds() - begin;
    } while (used < seconds);
    start = sink;
    return operations / used;
}

}  // namespace silosum
#endif

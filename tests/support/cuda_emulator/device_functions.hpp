// Arithmetic of the device, with CUDA's results also where a C++ cast or shift would be undefined.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace emulator {

/// Saturates. A NaN gives 0, or the smallest number's bits if either side has 64 bits (PTX ISA, cvt).
template <class Integer, class Float>
Integer to_integer(Float rounded) {
    constexpr bool wide = sizeof(Integer) == 8 || sizeof(Float) == 8;
    constexpr int digits = std::numeric_limits<Integer>::digits;
    if (std::isnan(rounded)) {
        return wide ? static_cast<Integer>(std::uint64_t{1} << (sizeof(Integer) * 8 - 1)) : 0;
    }
    if (rounded >= std::ldexp(Float{1}, digits)) return std::numeric_limits<Integer>::max();
    if (rounded < static_cast<Float>(std::numeric_limits<Integer>::min())) return std::numeric_limits<Integer>::min();
    return static_cast<Integer>(rounded);
}

}  // namespace emulator

// Rounding to integers: rn to nearest even, rz towards zero, rd down, ru up.
inline int __float2int_rn(float x) {
    return emulator::to_integer<int>(std::nearbyint(x));
}
inline int __float2int_rz(float x) {
    return emulator::to_integer<int>(std::trunc(x));
}
inline int __float2int_rd(float x) {
    return emulator::to_integer<int>(std::floor(x));
}
inline int __float2int_ru(float x) {
    return emulator::to_integer<int>(std::ceil(x));
}
inline unsigned __float2uint_rn(float x) {
    return emulator::to_integer<unsigned>(std::nearbyint(x));
}
inline unsigned __float2uint_rz(float x) {
    return emulator::to_integer<unsigned>(std::trunc(x));
}
inline long long __float2ll_rn(float x) {
    return emulator::to_integer<long long>(std::nearbyint(x));
}
inline long long __float2ll_rz(float x) {
    return emulator::to_integer<long long>(std::trunc(x));
}
inline int __double2int_rn(double x) {
    return emulator::to_integer<int>(std::nearbyint(x));
}
inline int __double2int_rz(double x) {
    return emulator::to_integer<int>(std::trunc(x));
}
inline unsigned __double2uint_rn(double x) {
    return emulator::to_integer<unsigned>(std::nearbyint(x));
}
inline long long __double2ll_rn(double x) {
    return emulator::to_integer<long long>(std::nearbyint(x));
}
inline long long __double2ll_rz(double x) {
    return emulator::to_integer<long long>(std::trunc(x));
}
inline unsigned long long __double2ull_rn(double x) {
    return emulator::to_integer<unsigned long long>(std::nearbyint(x));
}

inline float __int2float_rn(int x) {
    return static_cast<float>(x);
}
inline float __uint2float_rn(unsigned x) {
    return static_cast<float>(x);
}
inline float __ll2float_rn(long long x) {
    return static_cast<float>(x);
}
inline float __double2float_rn(double x) {
    return static_cast<float>(x);
}
inline double __int2double_rn(int x) {
    return x;
}
inline double __uint2double_rn(unsigned x) {
    return x;
}
inline double __ll2double_rn(long long x) {
    return static_cast<double>(x);
}
inline double __ull2double_rn(unsigned long long x) {
    return static_cast<double>(x);
}

// Arithmetic that the compiler may not contract to a fused multiply-add.
inline float __fadd_rn(float a, float b) {
    return a + b;
}
inline float __fsub_rn(float a, float b) {
    return a - b;
}
inline float __fmul_rn(float a, float b) {
    return a * b;
}
inline float __fdiv_rn(float a, float b) {
    return a / b;
}
inline float __fsqrt_rn(float a) {
    return std::sqrt(a);
}
inline float __frcp_rn(float a) {
    return 1.0f / a;
}
inline float __fmaf_rn(float a, float b, float c) {
    return std::fma(a, b, c);
}
inline double __dadd_rn(double a, double b) {
    return a + b;
}
inline double __dsub_rn(double a, double b) {
    return a - b;
}
inline double __dmul_rn(double a, double b) {
    return a * b;
}
inline double __ddiv_rn(double a, double b) {
    return a / b;
}
inline double __dsqrt_rn(double a) {
    return std::sqrt(a);
}
inline double __fma_rn(double a, double b, double c) {
    return std::fma(a, b, c);
}

// Approximations: the last bits differ from every device's.
inline float __expf(float x) {
    return std::exp(x);
}
inline float __logf(float x) {
    return std::log(x);
}
inline float __log2f(float x) {
    return std::log2(x);
}
inline float __powf(float x, float y) {
    return std::pow(x, y);
}
inline float __sinf(float x) {
    return std::sin(x);
}
inline float __cosf(float x) {
    return std::cos(x);
}
inline float __fdividef(float a, float b) {
    return a / b;
}
inline float __frsqrt_rn(float x) {
    return 1.0f / std::sqrt(x);
}
inline float rsqrtf(float x) {
    return 1.0f / std::sqrt(x);
}
inline double rsqrt(double x) {
    return 1.0 / std::sqrt(x);
}
inline float __saturatef(float x) {
    return std::isnan(x) ? 0.0f : std::fmin(std::fmax(x, 0.0f), 1.0f);
}

inline int __float_as_int(float x) {
    return std::bit_cast<int>(x);
}
inline unsigned __float_as_uint(float x) {
    return std::bit_cast<unsigned>(x);
}
inline float __int_as_float(int x) {
    return std::bit_cast<float>(x);
}
inline float __uint_as_float(unsigned x) {
    return std::bit_cast<float>(x);
}
inline long long __double_as_longlong(double x) {
    return std::bit_cast<long long>(x);
}
inline double __longlong_as_double(long long x) {
    return std::bit_cast<double>(x);
}
inline int __double2hiint(double x) {
    return static_cast<int>(std::bit_cast<std::uint64_t>(x) >> 32);
}
inline int __double2loint(double x) {
    return static_cast<int>(std::bit_cast<std::uint64_t>(x));
}

inline int __mulhi(int a, int b) {
    return static_cast<int>((std::int64_t{a} * b) >> 32);
}
inline unsigned __umulhi(unsigned a, unsigned b) {
    return static_cast<unsigned>((std::uint64_t{a} * b) >> 32);
}
inline long long __mul64hi(long long a, long long b) {
    __extension__ using Wide = __int128;
    return static_cast<long long>((Wide{a} * b) >> 64);
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<unsigned long long>((Wide{a} * b) >> 64);
}

inline int __popc(unsigned x) {
    return std::popcount(x);
}
inline int __popcll(unsigned long long x) {
    return std::popcount(x);
}
inline int __clz(int x) {
    return std::countl_zero(static_cast<unsigned>(x));
}
inline int __clzll(long long x) {
    return std::countl_zero(static_cast<unsigned long long>(x));
}
inline int __ffs(int x) {
    return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1;
}
inline int __ffsll(long long x) {
    return x == 0 ? 0 : std::countr_zero(static_cast<unsigned long long>(x)) + 1;
}
inline unsigned __brev(unsigned x) {
    x = (x >> 1 & 0x55555555u) | (x & 0x55555555u) << 1;
    x = (x >> 2 & 0x33333333u) | (x & 0x33333333u) << 2;
    x = (x >> 4 & 0x0f0f0f0fu) | (x & 0x0f0f0f0fu) << 4;
    return __builtin_bswap32(x);
}
inline unsigned long long __brevll(unsigned long long x) {
    return static_cast<unsigned long long>(__brev(static_cast<unsigned>(x))) << 32 | __brev(static_cast<unsigned>(x >> 32));
}

/// Four bytes picked from the eight of (b, a) by the lower three bits of the selector's nibbles.
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
    const std::uint64_t bytes = std::uint64_t{b} << 32 | a;
    unsigned result = 0;
    for (unsigned n = 0; n < 4; ++n) {
        const unsigned pick = selector >> 4 * n & 7;
        result |= (static_cast<unsigned>(bytes >> 8 * pick) & 0xff) << 8 * n;
    }
    return result;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
    return static_cast<unsigned>((std::uint64_t{high} << 32 | low) << (shift & 31) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    return static_cast<unsigned>((std::uint64_t{high} << 32 | low) >> (shift & 31));
}
inline unsigned __funnelshift_lc(unsigned low, unsigned high, unsigned shift) {
    return shift >= 32 ? low : __funnelshift_l(low, high, shift);
}
inline unsigned __funnelshift_rc(unsigned low, unsigned high, unsigned shift) {
    return shift >= 32 ? high : __funnelshift_r(low, high, shift);
}

template <class T>
T __ldg(const T* address) {
    return *address;
}
template <class T>
T __ldcs(const T* address) {
    return *address;
}
template <class T>
void __stcs(T* address, T value) {
    *address = value;
}

// CUDA's overloads: the arithmetic is that of the common type, as in `a < b ? a : b`, and a NaN loses against a number.
#define SILOSUM_EMULATED_MIN_MAX(T) \
    constexpr T min(T a, T b) {     \
        return b < a ? b : a;       \
    }                               \
    constexpr T max(T a, T b) {     \
        return a < b ? b : a;       \
    }
SILOSUM_EMULATED_MIN_MAX(int)
SILOSUM_EMULATED_MIN_MAX(unsigned)
SILOSUM_EMULATED_MIN_MAX(long)
SILOSUM_EMULATED_MIN_MAX(unsigned long)
SILOSUM_EMULATED_MIN_MAX(long long)
SILOSUM_EMULATED_MIN_MAX(unsigned long long)
#undef SILOSUM_EMULATED_MIN_MAX
constexpr unsigned min(int a, unsigned b) {
    return min(static_cast<unsigned>(a), b);
}
constexpr unsigned min(unsigned a, int b) {
    return min(a, static_cast<unsigned>(b));
}
constexpr unsigned max(int a, unsigned b) {
    return max(static_cast<unsigned>(a), b);
}
constexpr unsigned max(unsigned a, int b) {
    return max(a, static_cast<unsigned>(b));
}
inline float min(float a, float b) {
    return std::fmin(a, b);
}
inline float max(float a, float b) {
    return std::fmax(a, b);
}
inline double min(double a, double b) {
    return std::fmin(a, b);
}
inline double max(double a, double b) {
    return std::fmax(a, b);
}
inline double min(float a, double b) {
    return std::fmin(a, b);
}
inline double min(double a, float b) {
    return std::fmin(a, b);
}
inline double max(float a, double b) {
    return std::fmax(a, b);
}
inline double max(double a, float b) {
    return std::fmax(a, b);
}

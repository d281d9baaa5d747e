// Vectors of at most 16 floats under one set of names, whatever the instruction set has, and what tiles do with them: edges, relu, turning.
// No include guard but Highway's toggle: foreach_target.h includes the file again for every target.
#if defined(SILOSUM_VECTOR_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef SILOSUM_VECTOR_INL
#undef SILOSUM_VECTOR_INL
#else
#define SILOSUM_VECTOR_INL
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstring>
#include <utility>

#include "kernels/dense.hpp"

HWY_BEFORE_NAMESPACE();
namespace silosum::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#undef SILOSUM_INLINE_LAMBDA
#define SILOSUM_INLINE_LAMBDA HWY_ATTR __attribute__((always_inline))

/// Calls f with the constants 0 .. N-1. g++ keeps an array of sums in registers only where every index is a constant.
template <int N, class F>
HWY_INLINE void unroll(F f) {
    [&]<int... i>(std::integer_sequence<int, i...>) SILOSUM_INLINE_LAMBDA {
        (f(std::integral_constant<int, i>{}), ...);
    }
    (std::make_integer_sequence<int, N>{});
}

#if HWY_TARGET == HWY_SCALAR
// Highway's scalar target has one lane; the compiler's own vectors of four are faster and compute the same.
typedef float Vector __attribute__((vector_size(16)));
typedef float UnalignedVector __attribute__((vector_size(16), aligned(4), may_alias));
inline constexpr int lanes = 4;
HWY_INLINE Vector zero() {
    return Vector{0, 0, 0, 0};
}
HWY_INLINE Vector broadcast(float x) {
    return Vector{x, x, x, x};
}
HWY_INLINE Vector load(const float* p) {
    return *reinterpret_cast<const UnalignedVector*>(p);
}
HWY_INLINE void store(Vector v, float* p) {
    *reinterpret_cast<UnalignedVector*>(p) = v;
}
HWY_INLINE Vector multiply(Vector a, Vector b) {
    return a * b;
}
HWY_INLINE Vector add(Vector a, Vector b) {
    return a + b;
}
HWY_INLINE Vector multiply_add(Vector a, Vector b, Vector c) {
    return a * b + c;
}
HWY_INLINE Vector relu_of(Vector v) {
    return v < zero() ? zero() : v;
}
HWY_INLINE Vector where_positive(Vector condition, Vector v) {
    return condition > zero() ? v : zero();
}
/// to[i][r] = from[r][i] for r, i = 0 .. 3, rows 16 apart on both sides.
HWY_INLINE void transpose_lanes(const float* from, float* to) {
    const Vector a = load(from), b = load(from + panel_width), c = load(from + 2 * panel_width), d = load(from + 3 * panel_width);
    unroll<4>([&](auto i) SILOSUM_INLINE_LAMBDA { store(Vector{a[i()], b[i()], c[i()], d[i()]}, to + i * panel_width); });
}
#else
inline constexpr hn::CappedTag<float, panel_width> tag;
using Vector = hn::Vec<decltype(tag)>;
inline constexpr int lanes = static_cast<int>(hn::MaxLanes(tag));
HWY_INLINE Vector zero() {
    return hn::Zero(tag);
}
HWY_INLINE Vector broadcast(float x) {
    return hn::Set(tag, x);
}
HWY_INLINE Vector load(const float* p) {
    return hn::LoadU(tag, p);
}
HWY_INLINE void store(Vector v, float* p) {
    hn::StoreU(v, tag, p);
}
HWY_INLINE Vector multiply(Vector a, Vector b) {
    return hn::Mul(a, b);
}
HWY_INLINE Vector add(Vector a, Vector b) {
    return hn::Add(a, b);
}
HWY_INLINE Vector multiply_add(Vector a, Vector b, Vector c) {
    return hn::MulAdd(a, b, c);
}
// Not Max: NaN must pass, so that a model that diverges is noticed.
HWY_INLINE Vector relu_of(Vector v) {
    return hn::IfThenZeroElse(hn::Lt(v, zero()), v);
}

HWY_INLINE Vector where_positive(Vector condition, Vector v) {
    return hn::IfThenElseZero(hn::Gt(condition, zero()), v);
}
/// Four floats from each of the rows 0, 4, 8 ... of a panel, one block of the vector for each row.
template <class D>
HWY_INLINE hn::Vec<D> load_blocks(D d, const float* p) {
    if constexpr (hn::MaxLanes(d) == 4) {
        return hn::LoadU(d, p);
    } else {
        const hn::Half<D> half;
        return hn::Combine(d, load_blocks(half, p + hn::MaxLanes(d) / 2 * panel_width), load_blocks(half, p));
    }
}
/// to[i][r] = from[r][i] for i = 0 .. 3, r = 0 .. lanes - 1, rows 16 apart on both sides.
HWY_INLINE void transpose_lanes(const float* from, float* to) {
    const hn::RepartitionToWide<decltype(tag)> pairs;
    Vector v[4];
    unroll<4>([&](auto r) SILOSUM_INLINE_LAMBDA { v[r] = load_blocks(tag, from + r * panel_width); });
    const auto ab_low = hn::BitCast(pairs, hn::InterleaveLower(tag, v[0], v[1])),
               ab_high = hn::BitCast(pairs, hn::InterleaveUpper(tag, v[0], v[1]));
    const auto cd_low = hn::BitCast(pairs, hn::InterleaveLower(tag, v[2], v[3])),
               cd_high = hn::BitCast(pairs, hn::InterleaveUpper(tag, v[2], v[3]));
    store(hn::BitCast(tag, hn::InterleaveLower(pairs, ab_low, cd_low)), to);
    store(hn::BitCast(tag, hn::InterleaveUpper(pairs, ab_low, cd_low)), to + panel_width);
    store(hn::BitCast(tag, hn::InterleaveLower(pairs, ab_high, cd_high)), to + 2 * panel_width);
    store(hn::BitCast(tag, hn::InterleaveUpper(pairs, ab_high, cd_high)), to + 3 * panel_width);
}
#endif

inline constexpr int panel_size = static_cast<int>(panel_width);
inline constexpr int panel_vectors = panel_size / lanes;

/// Turns (16 inputs, 16 outputs) into (16 outputs, 16 inputs).
HWY_NOINLINE inline void transpose_panel(const float* HWY_RESTRICT from, float* HWY_RESTRICT to) {
    unroll<4>([&](auto j) SILOSUM_INLINE_LAMBDA {
        unroll<panel_vectors>([&](auto v) SILOSUM_INLINE_LAMBDA {
            transpose_lanes(from + v * lanes * panel_size + 4 * j, to + 4 * j * panel_size + v * lanes);
        });
    });
}

/// The same for fewer inputs, zeros in place of the others; touches no memory behind them.
HWY_NOINLINE inline void transpose_part(const float* HWY_RESTRICT from, std::size_t inputs, float* HWY_RESTRICT to) {
    HWY_ALIGN float copy[panel_width * panel_width] = {};
    std::memcpy(copy, from, inputs * panel_width * sizeof(float));
    transpose_panel(copy, to);
}

/// The first `count` floats (0 .. lanes, or more), zeros after them; touches no memory beyond.
HWY_INLINE Vector load_first(const float* p, std::ptrdiff_t count) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
    if (count <= 0) return zero();
    return hn::MaskedLoad(hn::FirstN(tag, static_cast<std::size_t>(count)), tag, p);
#else
    if (count >= lanes) return load(p);
    float copy[lanes] = {};
    for (std::ptrdiff_t i = 0; i < count; ++i) copy[i] = p[i];
    return load(copy);
#endif
}

/// Stores the first `count` lanes and touches no memory beyond.
HWY_INLINE void store_first(Vector v, float* p, std::ptrdiff_t count) {
    if (count <= 0) return;
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
    hn::BlendedStore(v, hn::FirstN(tag, static_cast<std::size_t>(count)), tag, p);
#else
    if (count >= lanes) return store(v, p);
    float copy[lanes];
    store(v, copy);
    for (std::ptrdiff_t i = 0; i < count; ++i) p[i] = copy[i];
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace silosum::kernels
HWY_AFTER_NAMESPACE();

#endif

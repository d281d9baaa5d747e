// The inner loops that dense layers and convolutions share, compiled once for each instruction set.
// A tile is a few rows by one or two panels of 16 outputs whose sums stay in registers. Each output element is the same chain of
// fused multiply-adds whatever the tile's size, so tiling, edges and threads never show in the bits.
// No include guard but Highway's toggle: foreach_target.h includes the file again for every target.
#if defined(SILOSUM_GEMM_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef SILOSUM_GEMM_INL
#undef SILOSUM_GEMM_INL
#else
#define SILOSUM_GEMM_INL
#endif

#include <hwy/highway.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <utility>

#include "kernels/dense.hpp"

HWY_BEFORE_NAMESPACE();
namespace silosum::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

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

// Shapes of tiles: as many sums as the registers hold beside the vectors in use, so that multiply-adds and not loads limit the speed.
#if HWY_TARGET == HWY_AVX3
inline constexpr int max_rows = 14, max_panels = 2;  // 32 registers of 16 lanes
#elif HWY_TARGET == HWY_AVX2
inline constexpr int max_rows = 6, max_panels = 1;  // 16 registers of 8 lanes
#elif HWY_ARCH_ARM_A64
inline constexpr int max_rows = 6, max_panels = 1;  // 32 registers of 4 lanes
#else
inline constexpr int max_rows = 2, max_panels = 1;  // 16 registers of 4 lanes
#endif

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

/// `rows` cut into the fewest parts of at most `most`, as equal as they can be; calls body(begin, length).
template <class F>
HWY_INLINE void in_equal_parts(std::size_t rows, std::size_t most, const F& body) {
    const std::size_t parts = (rows + most - 1) / most;
    const std::size_t length = parts == 0 ? 0 : rows / parts;
    std::size_t longer = rows - parts * length;
    for (std::size_t begin = 0; begin < rows;) {
        const std::size_t size = length + (longer > 0 ? 1 : 0);
        if (longer > 0) --longer;
        body(begin, size);
        begin += size;
    }
}

/// y[row][0 .. columns) = start + sum over k of x[row][k] * w[k]; k goes over `runs` stretches of `run_length` floats, `run_stride` apart.
/// A dense layer has one run; a convolution has one for each kernel row, and neighbouring pixels as rows.
struct ForwardTile {
    const float* x;
    std::size_t x_row;  // floats from one row to the next
    std::size_t runs, run_length, run_stride;
    const float* w;            // [k][16] of the first panel
    std::size_t panel_stride;  // floats from one panel to the next
    const float* start;        // as many as columns; null for zeros
    std::size_t start_row;     // floats from one row's start to the next: 0 for a bias, y_row to go on with an earlier sum in y
    float* y;
    std::size_t y_row;
    std::size_t columns;  // at most 16 for each panel of the tile
    bool relu;            // negative results become 0
    const float* gate;    // where not null, laid out like y: results become 0 where it is not positive
};

template <int rows, int panels>
HWY_NOINLINE void forward_tile(const ForwardTile& t) {
    constexpr int width = panels * panel_vectors;
    Vector sum[rows][width];
    const std::ptrdiff_t columns = static_cast<std::ptrdiff_t>(t.columns);
    unroll<rows>([&](auto r) SILOSUM_INLINE_LAMBDA {
        unroll<width>([&](auto v) SILOSUM_INLINE_LAMBDA {
            sum[r][v] = t.start == nullptr ? zero() : load_first(t.start + r * t.start_row + v * lanes, columns - v * lanes);
        });
    });
    const std::size_t x_row = t.x_row;
    const std::size_t panel_stride = t.panel_stride;
    const float* HWY_RESTRICT w = t.w;
    for (std::size_t run = 0; run < t.runs; ++run) {
        const float* HWY_RESTRICT x = t.x + run * t.run_stride;
        for (std::size_t k = t.run_length; k != 0; --k, ++x, w += panel_width) {
            Vector weight[width];
            unroll<width>([&](auto v) SILOSUM_INLINE_LAMBDA {
                weight[v] = load(w + (v / panel_vectors) * panel_stride + (v % panel_vectors) * lanes);
            });
            unroll<rows>([&](auto r) SILOSUM_INLINE_LAMBDA {
                const Vector value = broadcast(x[r * x_row]);
                unroll<width>([&](auto v) SILOSUM_INLINE_LAMBDA { sum[r][v] = multiply_add(value, weight[v], sum[r][v]); });
            });
        }
    }
    if (t.relu) {
        unroll<rows>([&](auto r)
                         SILOSUM_INLINE_LAMBDA { unroll<width>([&](auto v) SILOSUM_INLINE_LAMBDA { sum[r][v] = relu_of(sum[r][v]); }); });
    }
    if (t.gate != nullptr) {
        unroll<rows>([&](auto r) SILOSUM_INLINE_LAMBDA {
            unroll<width>([&](auto v) SILOSUM_INLINE_LAMBDA {
                sum[r][v] = where_positive(load_first(t.gate + r * t.y_row + v * lanes, columns - v * lanes), sum[r][v]);
            });
        });
    }
    if (columns == panels * panel_size) {
        unroll<rows>([&](auto r) SILOSUM_INLINE_LAMBDA {
            unroll<width>([&](auto v) SILOSUM_INLINE_LAMBDA { store(sum[r][v], t.y + r * t.y_row + v * lanes); });
        });
    } else {
        unroll<rows>([&](auto r) SILOSUM_INLINE_LAMBDA {
            unroll<width>([&](auto v)
                              SILOSUM_INLINE_LAMBDA { store_first(sum[r][v], t.y + r * t.y_row + v * lanes, columns - v * lanes); });
        });
    }
}

/// Weight gradient: row r of w takes the sum over items of x[item][r] * dy[item]. Items are a grid of outer x inner: the batch of a
/// dense layer (one outer step), the pixel rows and columns of one image for a convolution. Rows of the tile are neighbours in x.
struct GradientTile {
    const float* x;
    std::size_t outer, inner;
    std::size_t x_outer, x_inner;  // floats from one item to the next
    const float* dy;
    std::size_t dy_outer, dy_inner;
    std::size_t columns;  // of dy that exist, at most 16 for each panel of the tile; the others count as zeros
    float* w;
    std::size_t panel_stride;
    float decay, scale;
};

enum class Sum {
    into_old,        // the sum starts at decay * w; scale is left to the caller, dy has all columns
    apart,           // the sum starts at zero: w = decay * w + scale * sum; dy has all columns
    apart_narrow_dy  // the same for columns < 16 * panels
};

template <int rows, int panels, Sum kind>
HWY_NOINLINE void gradient_tile(const GradientTile& t) {
    constexpr int width = panels * panel_vectors;
    const std::size_t panel_stride = t.panel_stride;
    const auto place = [&](int r, int v) SILOSUM_INLINE_LAMBDA {
        return t.w + static_cast<std::size_t>(v / panel_vectors) * panel_stride + r * panel_size + (v % panel_vectors) * lanes;
    };
    // Old contents are not even read where decay is 0: they may be NaN.
    const auto decayed = [&](int r, int v) SILOSUM_INLINE_LAMBDA {
        if (t.decay == 0) return zero();
        const Vector old = load(place(r, v));
        return t.decay == 1 ? old : multiply(broadcast(t.decay), old);
    };
    Vector sum[rows][width];
    unroll<rows>([&](auto r) SILOSUM_INLINE_LAMBDA {
        unroll<width>([&](auto v) SILOSUM_INLINE_LAMBDA { sum[r][v] = kind == Sum::into_old ? decayed(r, v) : zero(); });
    });
    const std::size_t x_inner = t.x_inner;
    const std::size_t dy_inner = t.dy_inner;
    const std::ptrdiff_t columns = static_cast<std::ptrdiff_t>(t.columns);
    for (std::size_t outer = 0; outer < t.outer; ++outer) {
        const float* HWY_RESTRICT x = t.x + outer * t.x_outer;
        const float* HWY_RESTRICT dy = t.dy + outer * t.dy_outer;
#pragma GCC unroll 2  // 4-9 % with AVX-512
        for (std::size_t inner = t.inner; inner != 0; --inner, x += x_inner, dy += dy_inner) {
            Vector slope[width];
            unroll<width>([&](auto v) SILOSUM_INLINE_LAMBDA {
                slope[v] = kind == Sum::apart_narrow_dy ? load_first(dy + v * lanes, columns - v * lanes) : load(dy + v * lanes);
            });
            unroll<rows>([&](auto r) SILOSUM_INLINE_LAMBDA {
                const Vector value = broadcast(x[r]);
                unroll<width>([&](auto v) SILOSUM_INLINE_LAMBDA { sum[r][v] = multiply_add(value, slope[v], sum[r][v]); });
            });
        }
    }
    const Vector scale = broadcast(t.scale);
    unroll<rows>([&](auto r) SILOSUM_INLINE_LAMBDA {
        unroll<width>([&](auto v) SILOSUM_INLINE_LAMBDA {
            store(kind == Sum::into_old ? sum[r][v] : multiply_add(scale, sum[r][v], decayed(r, v)), place(r, v));
        });
    });
}

template <class Tile>
using TileFunction = void (*)(const Tile&);

/// Functions for 1 .. max_rows rows at [rows - 1].
template <int panels, int... row>
constexpr std::array<TileFunction<ForwardTile>, max_rows> forward_functions(std::integer_sequence<int, row...>) {
    return {forward_tile<row + 1, panels>...};
}
template <int panels, Sum kind, int... row>
constexpr std::array<TileFunction<GradientTile>, max_rows> gradient_functions(std::integer_sequence<int, row...>) {
    return {gradient_tile<row + 1, panels, kind>...};
}
using Rows = std::make_integer_sequence<int, max_rows>;

}  // namespace HWY_NAMESPACE
}  // namespace silosum::kernels
HWY_AFTER_NAMESPACE();

#endif

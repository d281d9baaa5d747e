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

#include <array>
#include <cstddef>
#include <utility>

#include "kernels/vector-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace silosum::kernels {
namespace HWY_NAMESPACE {

// Shapes of tiles: as many sums as the registers hold beside the vectors in use, so that multiply-adds and not loads limit the speed.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr int max_rows = 3, max_panels = HWY_TARGET == HWY_AVX3 ? 2 : 1;  // large tiles take minutes to instrument
#elif HWY_TARGET == HWY_AVX3
inline constexpr int max_rows = 14, max_panels = 2;  // 32 registers of 16 lanes
#elif HWY_TARGET == HWY_AVX2
inline constexpr int max_rows = 6, max_panels = 1;  // 16 registers of 8 lanes
#elif HWY_ARCH_ARM_A64
inline constexpr int max_rows = 6, max_panels = 1;  // 32 registers of 4 lanes
#else
inline constexpr int max_rows = 2, max_panels = 1;  // 16 registers of 4 lanes
#endif

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

#if HWY_TARGET == HWY_AVX3
/// The same as Sum::into_old for a batch whose slopes all stay in registers, and one panel: row after row of w is read, moved and written,
/// so that no tile has a beginning and an end in which the multipliers wait.
struct FewItems {
    const float* x;
    std::size_t x_item;  // floats from one item to the next
    const float* dy;     // (items, 16)
    std::size_t rows;
    float* w;
    float decay;
};

template <int items>
HWY_NOINLINE void few_items(const FewItems& t) {
    Vector slope[items];
    unroll<items>([&](auto i) SILOSUM_INLINE_LAMBDA { slope[i] = load(t.dy + i * panel_size); });
    const std::size_t x_item = t.x_item;
    const auto all_rows = [&](const auto& start) SILOSUM_INLINE_LAMBDA {
        const float* HWY_RESTRICT x = t.x;
        float* HWY_RESTRICT w = t.w;
        for (std::size_t row = t.rows; row != 0; --row, ++x, w += panel_size) {
            Vector sum = start(w);
            unroll<items>([&](auto i) SILOSUM_INLINE_LAMBDA { sum = multiply_add(broadcast(x[i * x_item]), slope[i], sum); });
            store(sum, w);
        }
    };
    const Vector decay = broadcast(t.decay);
    if (t.decay == 1) {
        all_rows([](const float* w) SILOSUM_INLINE_LAMBDA { return load(w); });
    } else if (t.decay == 0) {
        all_rows([](const float*) SILOSUM_INLINE_LAMBDA { return zero(); });
    } else {
        all_rows([&](const float* w) SILOSUM_INLINE_LAMBDA { return multiply(decay, load(w)); });
    }
}
#endif

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
#if HWY_TARGET == HWY_AVX3
/// Functions for 1 .. max_rows items at [items - 1].
template <int... item>
constexpr std::array<TileFunction<FewItems>, max_rows> few_items_functions(std::integer_sequence<int, item...>) {
    return {few_items<item + 1>...};
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace silosum::kernels
HWY_AFTER_NAMESPACE();

#endif

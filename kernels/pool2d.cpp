// Vectorised over channels. Pooling by maximum only selects, so that vectors of any width give the same bits.
#include "kernels/simd.hpp"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pool2d.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
//
#include <algorithm>

#include "kernels/parallel.hpp"
#include "kernels/pool2d.hpp"
#include "kernels/steps-inl.hpp"

#ifndef SILOSUM_POOL_WINDOW
#define SILOSUM_POOL_WINDOW
namespace silosum::kernels {
namespace {

/// The part of a window along one axis that lies in the image.
struct Taps {
    std::size_t begin, end;  // positions in the window
    std::size_t first;       // coordinate in the image of position `begin`
};
inline Taps taps(std::size_t out, std::size_t size, const PoolShape& shape) {
    const std::size_t start = out * shape.stride;  // in the padded image
    const std::size_t begin = start < shape.padding ? shape.padding - start : 0;
    return {begin, std::min(shape.window, size + shape.padding - start), start + begin - shape.padding};
}

}  // namespace
}  // namespace silosum::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace silosum::kernels {
namespace HWY_NAMESPACE {

/// body(d, c) on vectors of channels: full ones, then of four, then single ones.
template <class Body>
HWY_INLINE void over_channels(std::size_t channels, const Body& body) {
    std::size_t c = 0;
    for (; c + float_lanes <= channels; c += float_lanes) body(Floats(), c);
    if constexpr (float_lanes > 4) {
        for (; c + 4 <= channels; c += 4) body(hn::CappedTag<float, 4>(), c);
    }
    for (; c < channels; ++c) body(hn::CappedTag<float, 1>(), c);
}

/// Maximum over one window for the channels of one vector.
template <class D>
HWY_INLINE void largest_of_window(D d, const PoolShape& shape, const Taps& rows, const Taps& columns, const float* first, float* y,
                                  std::uint8_t* winner) {
    const hn::RebindToSigned<D> di;
    auto best = hn::LoadU(d, first);
    auto position = hn::Set(di, static_cast<std::int32_t>(rows.begin * shape.window + columns.begin));
    for (std::size_t row = rows.begin; row < rows.end; ++row) {
        const float* x = first + (row - rows.begin) * shape.width * shape.channels;
        for (std::size_t column = columns.begin; column < columns.end; ++column, x += shape.channels) {
            const auto v = hn::LoadU(d, x);
            const auto better = hn::Or(hn::Gt(v, best), hn::IsNaN(v));  // NaN wins, so that it is not lost
            best = hn::IfThenElse(better, v, best);
            const auto here = hn::Set(di, static_cast<std::int32_t>(row * shape.window + column));
            position = hn::IfThenElse(hn::RebindMask(di, better), here, position);
        }
    }
    hn::StoreU(best, d, y);
    const hn::Rebind<std::uint8_t, D> d8;
    hn::StoreU(hn::DemoteTo(d8, position), d8, winner);
}

/// Rows [begin, end) of the outputs, counted over all samples.
void max_forward_rows(const PoolShape& shape, std::size_t begin, std::size_t end, const float* x, float* y, std::uint8_t* winner) {
    const std::size_t height = shape.out_height();
    const std::size_t width = shape.out_width();
    for (std::size_t r = begin; r < end; ++r) {
        const Taps rows = taps(r % height, shape.height, shape);
        const float* image = x + r / height * shape.in_size();
        for (std::size_t ox = 0; ox < width; ++ox) {
            const Taps columns = taps(ox, shape.width, shape);
            const float* first = image + (rows.first * shape.width + columns.first) * shape.channels;
            const std::size_t out = (r * width + ox) * shape.channels;
            over_channels(shape.channels, [&](auto d, std::size_t c) HWY_ATTR {
                largest_of_window(d, shape, rows, columns, first + c, y + out + c, winner + out + c);
            });
        }
    }
}

/// Gives dy of one window to the winners; the other inputs get 0, or keep what they have where windows overlap.
template <bool overlap, class D, class V>
HWY_INLINE void give_to_winner(D d, const PoolShape& shape, const Taps& rows, const Taps& columns, V dy, const std::uint8_t* winner,
                               float* first) {
    const hn::RebindToSigned<D> di;
    const auto position = hn::PromoteTo(di, hn::LoadU(hn::Rebind<std::uint8_t, D>(), winner));
    for (std::size_t row = rows.begin; row < rows.end; ++row) {
        float* dx = first + (row - rows.begin) * shape.width * shape.channels;
        for (std::size_t column = columns.begin; column < columns.end; ++column, dx += shape.channels) {
            const auto here = hn::Set(di, static_cast<std::int32_t>(row * shape.window + column));
            auto v = hn::IfThenElseZero(hn::RebindMask(d, hn::Eq(position, here)), dy);
            if constexpr (overlap) v = hn::Add(v, hn::LoadU(d, dx));
            hn::StoreU(v, d, dx);
        }
    }
}

template <bool overlap>
HWY_INLINE void max_backward_sample(const PoolShape& shape, const float* dy, const std::uint8_t* winner, const float* relu_output,
                                    float* dx) {
    const std::size_t width = shape.out_width();
    for (std::size_t oy = 0; oy < shape.out_height(); ++oy) {
        const Taps rows = taps(oy, shape.height, shape);
        for (std::size_t ox = 0; ox < width; ++ox) {
            const Taps columns = taps(ox, shape.width, shape);
            float* first = dx + (rows.first * shape.width + columns.first) * shape.channels;
            const std::size_t out = (oy * width + ox) * shape.channels;
            over_channels(shape.channels, [&](auto d, std::size_t c) HWY_ATTR {
                auto g = hn::LoadU(d, dy + out + c);
                if (relu_output != nullptr) g = hn::IfThenElseZero(hn::Gt(hn::LoadU(d, relu_output + out + c), hn::Zero(d)), g);
                give_to_winner<overlap>(d, shape, rows, columns, g, winner + out + c, first + c);
            });
        }
    }
}

void max_backward_samples(const PoolShape& shape, std::size_t begin, std::size_t end, const float* dy, const std::uint8_t* winner,
                          const float* relu_output, float* dx) {
    const bool overlap = shape.stride < shape.window;
    const bool covers =
        shape.stride == shape.window && shape.padding == 0 && shape.height % shape.window == 0 && shape.width % shape.window == 0;
    for (std::size_t s = begin; s < end; ++s) {
        const std::size_t out = s * shape.out_size();
        const float* relu = relu_output == nullptr ? nullptr : relu_output + out;
        float* image = dx + s * shape.in_size();
        if (!covers) std::fill_n(image, shape.in_size(), 0.0F);
        if (overlap) {
            max_backward_sample<true>(shape, dy + out, winner + out, relu, image);
        } else {
            max_backward_sample<false>(shape, dy + out, winner + out, relu, image);
        }
    }
}

}  // namespace HWY_NAMESPACE
}  // namespace silosum::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace silosum::kernels {
namespace {

HWY_EXPORT(max_forward_rows);
HWY_EXPORT(max_backward_samples);

/// Rows or samples of the given size that are worth another thread.
std::size_t grain_of(std::size_t size) {
    return elementwise_grain / std::max<std::size_t>(1, size) + 1;
}

/// visit(offset of the output pixel, offset of the input pixel) for all pairs of a sample, output by output.
template <class Visit>
void for_each_tap(const PoolShape& shape, const Visit& visit) {
    for (std::size_t oy = 0; oy < shape.out_height(); ++oy) {
        const Taps rows = taps(oy, shape.height, shape);
        for (std::size_t ox = 0; ox < shape.out_width(); ++ox) {
            const Taps columns = taps(ox, shape.width, shape);
            const std::size_t out = (oy * shape.out_width() + ox) * shape.channels;
            for (std::size_t row = 0; row < rows.end - rows.begin; ++row) {
                for (std::size_t column = 0; column < columns.end - columns.begin; ++column) {
                    visit(out, ((rows.first + row) * shape.width + columns.first + column) * shape.channels);
                }
            }
        }
    }
}

}  // namespace

void max_pool_forward(const PoolShape& shape, std::size_t samples, const float* x, float* y, std::uint8_t* winner, const Threads& threads) {
    const auto rows = HWY_DYNAMIC_DISPATCH(max_forward_rows);
    in_parallel(samples * shape.out_height(), grain_of(shape.out_width() * shape.channels), threads,
                [&](std::size_t begin, std::size_t end) { rows(shape, begin, end, x, y, winner); });
}

void max_pool_backward(const PoolShape& shape, std::size_t samples, const float* dy, const std::uint8_t* winner, const float* relu_output,
                       float* dx, const Threads& threads) {
    const auto range = HWY_DYNAMIC_DISPATCH(max_backward_samples);
    in_parallel(samples, grain_of(shape.in_size()), threads,
                [&](std::size_t begin, std::size_t end) { range(shape, begin, end, dy, winner, relu_output, dx); });
}

void average_pool_forward(const PoolShape& shape, std::size_t samples, const float* x, float* y, const Threads& threads) {
    const float share = 1.0F / static_cast<float>(shape.window * shape.window);
    in_parallel(samples, grain_of(shape.in_size()), threads, [&](std::size_t begin, std::size_t end) {
        std::fill(y + begin * shape.out_size(), y + end * shape.out_size(), 0.0F);
        for (std::size_t s = begin; s < end; ++s) {
            const float* image = x + s * shape.in_size();
            float* result = y + s * shape.out_size();
            for_each_tap(shape, [&](std::size_t out, std::size_t in) {
                for (std::size_t c = 0; c < shape.channels; ++c) result[out + c] += image[in + c] * share;
            });
        }
    });
}

void average_pool_backward(const PoolShape& shape, std::size_t samples, const float* dy, float* dx, const Threads& threads) {
    const float share = 1.0F / static_cast<float>(shape.window * shape.window);
    in_parallel(samples, grain_of(shape.in_size()), threads, [&](std::size_t begin, std::size_t end) {
        std::fill(dx + begin * shape.in_size(), dx + end * shape.in_size(), 0.0F);
        for (std::size_t s = begin; s < end; ++s) {
            const float* slope = dy + s * shape.out_size();
            float* image = dx + s * shape.in_size();
            for_each_tap(shape, [&](std::size_t out, std::size_t in) {
                for (std::size_t c = 0; c < shape.channels; ++c) image[in + c] += slope[out + c] * share;
            });
        }
    });
}

}  // namespace silosum::kernels
#endif

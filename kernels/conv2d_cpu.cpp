// Convolutions on the processor: ranges of the work for each instruction set, and the functions of conv2d.hpp that share it out.
// A pixel's inputs are kernel_height runs of kernel_width * channels neighbouring floats, so a convolution is a dense layer over
// neighbouring pixels, and the backward pass over the input is a convolution of dy with the flipped kernel.
#include "kernels/simd.hpp"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv2d_cpu.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/conv2d.hpp"
#include "kernels/gemm-inl.hpp"
#include "kernels/share.hpp"

#ifndef SILOSUM_CONV2D_CPU
#define SILOSUM_CONV2D_CPU
namespace silosum::kernels {

struct ConvForward {
    ConvShape shape;
    const float *padded, *packed, *bias;
    float* y;
    bool relu;
    const float* gate;  // see ForwardTile
};

struct ConvBackwardInput {
    ConvShape shape;
    const float *dy, *flipped, *relu_output;
    float *scratch, *dx;
};

struct ConvBackwardWeights {
    ConvShape shape;
    std::size_t samples;
    const float *padded, *dy;
    float scale, decay;
    float* packed;
    float bias_decay;
    float* bias;
};

}  // namespace silosum::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace silosum::kernels {
namespace HWY_NAMESPACE {

constexpr auto forward_one = forward_functions<1>(Rows{});
constexpr auto forward_most = forward_functions<max_panels>(Rows{});
constexpr auto gradient_one = gradient_functions<1, Sum::apart>(Rows{});
constexpr auto gradient_most = gradient_functions<max_panels, Sum::apart>(Rows{});
constexpr auto gradient_one_narrow = gradient_functions<1, Sum::apart_narrow_dy>(Rows{});
constexpr auto gradient_most_narrow = gradient_functions<max_panels, Sum::apart_narrow_dy>(Rows{});

/// Rows of output pixels from begin to end, counted over all samples.
void forward_range(const ConvForward& work, std::size_t begin, std::size_t end) {
    const ConvShape& shape = work.shape;
    const std::size_t height = shape.out_height();
    const std::size_t width = shape.out_width();
    ForwardTile tile{};
    tile.x_row = shape.stride * shape.in_channels;
    tile.runs = shape.kernel_height;
    tile.run_length = shape.kernel_width * shape.in_channels;
    tile.run_stride = (shape.width + 2 * shape.padding) * shape.in_channels;
    tile.panel_stride = shape.taps() * panel_width;
    tile.y_row = shape.out_channels;
    tile.relu = work.relu;
    for (std::size_t panel = 0, step = 0; panel < shape.panels(); panel += step) {
        step = shape.panels() - panel >= max_panels ? max_panels : 1;
        const auto& functions = step == 1 ? forward_one : forward_most;
        const std::size_t column = panel * panel_width;
        tile.w = work.packed + panel * tile.panel_stride;
        tile.start = work.bias == nullptr ? nullptr : work.bias + column;
        tile.columns = HWY_MIN(step * panel_width, shape.out_channels - column);
        for (std::size_t row = begin; row < end; ++row) {
            const float* x = work.padded + row / height * shape.padded_size() + row % height * shape.stride * tile.run_stride;
            const std::size_t place = row * width * shape.out_channels + column;
            in_equal_parts(width, max_rows, [&](std::size_t pixel, std::size_t pixels) HWY_ATTR {
                tile.x = x + pixel * tile.x_row;
                tile.y = work.y + place + pixel * tile.y_row;
                tile.gate = work.gate == nullptr ? nullptr : work.gate + place + pixel * tile.y_row;
                functions[pixels - 1](tile);
            });
        }
    }
}

/// Samples from begin to end. The scratch holds one image of dy, its pixels `stride` apart, within a border that makes the
/// convolution with the flipped kernel as large as x.
void backward_input_range(const ConvBackwardInput& work, std::size_t begin, std::size_t end) {
    const ConvShape& shape = work.shape;
    const std::size_t channels = shape.out_channels;
    const std::size_t height = shape.out_height();
    const std::size_t width = shape.out_width();
    ConvShape back;
    back.in_channels = channels;
    back.height = shape.height + shape.kernel_height - 1;
    back.width = shape.width + shape.kernel_width - 1;
    back.out_channels = shape.in_channels;
    back.kernel_height = shape.kernel_height;
    back.kernel_width = shape.kernel_width;
    float* first =
        work.scratch + ((shape.kernel_height - 1 - shape.padding) * back.width + shape.kernel_width - 1 - shape.padding) * channels;
    for (std::size_t i = 0; i < back.in_size(); ++i) work.scratch[i] = 0;
    for (std::size_t sample = begin; sample < end; ++sample) {
        const float* dy = work.dy + sample * shape.out_size();
        for (std::size_t row = 0; row < height; ++row) {
            float* to = first + row * shape.stride * back.width * channels;
            for (std::size_t pixel = 0; pixel < width; ++pixel, to += shape.stride * channels, dy += channels) {
                for (std::size_t c = 0; c < channels; ++c) to[c] = dy[c];
            }
        }
        const std::size_t place = sample * shape.in_size();
        const float* gate = work.relu_output == nullptr ? nullptr : work.relu_output + place;
        forward_range({back, work.scratch, work.flipped, nullptr, work.dx + place, false, gate}, 0, shape.height);
    }
}

/// The bias of outputs from column to column_end: each image's sum by itself, then added.
HWY_INLINE void add_bias(const ConvBackwardWeights& work, const float* dy, std::size_t column, std::size_t column_end, float decay) {
    const std::size_t channels = work.shape.out_channels;
    const std::size_t pixels = work.samples == 0 ? 0 : work.shape.out_height() * work.shape.out_width();
    for (; column < column_end; column += lanes) {
        const std::ptrdiff_t count = static_cast<std::ptrdiff_t>(column_end - column);
        Vector sum = zero();
        if (count >= lanes) {
            for (std::size_t pixel = 0; pixel < pixels; ++pixel) sum = add(sum, load(dy + pixel * channels + column));
        } else {
            for (std::size_t pixel = 0; pixel < pixels; ++pixel) sum = add(sum, load_first(dy + pixel * channels + column, count));
        }
        float* bias = work.bias + column;
        const Vector old = decay == 0 ? zero() : multiply(broadcast(decay), load_first(bias, count));
        store_first(multiply_add(broadcast(work.scale), sum, old), bias, count);
    }
}

template <std::size_t panels, class Functions>
HWY_INLINE void add_rows(const ConvBackwardWeights& work, std::size_t sample, std::size_t panel, std::size_t ky,
                         const Functions& functions) {
    const ConvShape& shape = work.shape;
    const std::size_t column = panel * panel_width;
    const float* padded = work.padded + sample * shape.padded_size();
    const std::size_t padded_row = (shape.width + 2 * shape.padding) * shape.in_channels;
    const std::size_t run_length = shape.kernel_width * shape.in_channels;
    GradientTile tile{};
    tile.outer = work.samples == 0 ? 0 : shape.out_height();
    tile.inner = shape.out_width();
    tile.x_outer = shape.stride * padded_row;
    tile.x_inner = shape.stride * shape.in_channels;
    tile.dy = work.dy + sample * shape.out_size() + column;
    tile.dy_outer = shape.out_width() * shape.out_channels;
    tile.dy_inner = shape.out_channels;
    tile.columns = HWY_MIN(panels * panel_width, shape.out_channels - column);
    tile.panel_stride = shape.taps() * panel_width;
    tile.decay = sample == 0 ? work.decay : 1.0F;
    tile.scale = work.scale;
    in_equal_parts(run_length, max_rows, [&](std::size_t k, std::size_t rows) HWY_ATTR {
        tile.x = padded + ky * padded_row + k;
        tile.w = work.packed + panel * tile.panel_stride + (ky * run_length + k) * panel_width;
        functions[rows - 1](tile);
    });
}

/// Units from begin to end: (pair of panels, kernel row). Image after image, which then stays in the cache for all units.
void backward_weights_range(const ConvBackwardWeights& work, std::size_t begin, std::size_t end) {
    const ConvShape& shape = work.shape;
    // An empty batch still decays.
    for (std::size_t sample = 0; sample == 0 || sample < work.samples; ++sample) {
        for (std::size_t unit = begin; unit < end; ++unit) {
            const std::size_t ky = unit % shape.kernel_height;
            const std::size_t panel_end = HWY_MIN(unit / shape.kernel_height * 2 + 2, shape.panels());
            for (std::size_t panel = unit / shape.kernel_height * 2, step = 0; panel < panel_end; panel += step) {
                step = panel_end - panel >= max_panels ? max_panels : 1;
                const bool narrow = (panel + step) * panel_width > shape.out_channels;
                if (step == 1) {
                    add_rows<1>(work, sample, panel, ky, narrow ? gradient_one_narrow : gradient_one);
                } else {
                    add_rows<max_panels>(work, sample, panel, ky, narrow ? gradient_most_narrow : gradient_most);
                }
            }
            if (ky != 0) continue;
            const std::size_t column = unit / shape.kernel_height * 2 * panel_width;
            add_bias(work, work.dy + sample * shape.out_size(), column, HWY_MIN(panel_end * panel_width, shape.out_channels),
                     sample == 0 ? work.bias_decay : 1.0F);
        }
    }
}

}  // namespace HWY_NAMESPACE
}  // namespace silosum::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace silosum::kernels {
namespace {

HWY_EXPORT(forward_range);
HWY_EXPORT(backward_input_range);
HWY_EXPORT(backward_weights_range);

}  // namespace

void conv2d_forward(const ConvShape& shape, std::size_t samples, const float* padded, const float* packed, const float* bias, float* y,
                    bool relu, const Threads& threads) {
    const ConvForward work{shape, padded, packed, bias, y, relu, nullptr};
    const auto forward = HWY_DYNAMIC_DISPATCH(forward_range);
    share(threads, samples * shape.out_height(), shape.out_width() * shape.taps() * shape.out_channels,
          [&](std::size_t begin, std::size_t end) { forward(work, begin, end); });
}

void conv2d_backward_input(const ConvShape& shape, std::size_t samples, const float* dy, const float* flipped, const float* relu_output,
                           float* scratch, float* dx, const Threads& threads) {
    const auto backward = HWY_DYNAMIC_DISPATCH(backward_input_range);
    const std::size_t sample_work = shape.height * shape.width * shape.taps() * shape.out_channels;
    // One piece of the scratch for each part, so the parts are cut here.
    const std::size_t parts =
        std::clamp<std::size_t>(samples * sample_work / least_work, 1, std::min(threads.count(), std::max<std::size_t>(1, samples)));
    const auto run = [&](std::size_t begin, std::size_t end) {
        for (std::size_t part = begin; part < end; ++part) {
            const ConvBackwardInput work{shape, dy, flipped, relu_output, scratch + part * shape.scratch_size(), dx};
            backward(work, samples * part / parts, samples * (part + 1) / parts);
        }
    };
    if (parts == 1) return run(0, 1);
    threads.for_ranges(parts, 1, std::cref(run));
}

void conv2d_backward_weights(const ConvShape& shape, std::size_t samples, const float* padded, const float* dy, float scale, float decay,
                             float* packed, float bias_decay, float* bias, const Threads& threads) {
    const ConvBackwardWeights work{shape, samples, padded, dy, scale, decay, packed, bias_decay, bias};
    const auto backward = HWY_DYNAMIC_DISPATCH(backward_weights_range);
    const std::size_t pairs = (shape.panels() + 1) / 2;
    const std::size_t unit_work =
        samples * shape.out_height() * shape.out_width() * shape.kernel_width * shape.in_channels * 2 * panel_width;
    share(threads, pairs * shape.kernel_height, unit_work, [&](std::size_t begin, std::size_t end) { backward(work, begin, end); });
}

}  // namespace silosum::kernels
#endif

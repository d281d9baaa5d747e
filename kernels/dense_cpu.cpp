// Dense layers on the processor: ranges of the work for each instruction set, and the functions of dense.hpp that share it out.
#include "kernels/simd.hpp"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/dense_cpu.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/gemm-inl.hpp"
#include "kernels/share.hpp"

#ifndef SILOSUM_DENSE_CPU
#define SILOSUM_DENSE_CPU
namespace silosum::kernels {

/// A part of one call: rows of the batch, and panels or inputs, from begin to end.
struct DenseRange {
    std::size_t row_begin, row_end;
    std::size_t begin, end;
};

struct DenseForward {
    DenseShape shape;
    const float *x, *packed, *bias;
    float* y;
    bool relu;
};

struct DenseBackwardInput {
    DenseShape shape;
    const float *dy, *packed, *relu_output;
    float* dx;
};

struct DenseBackwardWeights {
    DenseShape shape;
    std::size_t batch;
    const float *x, *dy;
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
constexpr auto gradient_one = gradient_functions<1, Sum::into_old>(Rows{});
constexpr auto gradient_most = gradient_functions<max_panels, Sum::into_old>(Rows{});

/// begin, end: panels.
void forward_range(const DenseForward& work, const DenseRange& range) {
    const std::size_t in = work.shape.in;
    const std::size_t out = work.shape.out;
    for (std::size_t panel = range.begin, step = 0; panel < range.end; panel += step) {
        step = range.end - panel >= max_panels ? max_panels : 1;
        const auto& functions = step == 1 ? forward_one : forward_most;
        const std::size_t column = panel * panel_width;
        ForwardTile tile{};
        tile.x_row = in;
        tile.runs = 1;
        tile.run_length = in;
        tile.w = work.packed + column * in;
        tile.panel_stride = in * panel_width;
        tile.start = work.bias + column;
        tile.y_row = out;
        tile.columns = HWY_MIN(step * panel_width, out - column);
        tile.relu = work.relu;
        in_equal_parts(range.row_end - range.row_begin, max_rows, [&](std::size_t begin, std::size_t rows) HWY_ATTR {
            tile.x = work.x + (range.row_begin + begin) * in;
            tile.y = work.y + (range.row_begin + begin) * out + column;
            functions[rows - 1](tile);
        });
    }
}

/// begin, end: panels of 16 inputs. With the weights turned round, dx = dy W is a forward pass whose outputs are the inputs.
void backward_input_range(const DenseBackwardInput& work, const DenseRange& range) {
    constexpr std::size_t block_outputs = 16 * panel_width;  // turned at a time, on the stack
    const std::size_t in = work.shape.in;
    const std::size_t out = work.shape.out;
    HWY_ALIGN float turned[max_panels * block_outputs * panel_width];
    for (std::size_t panel = range.begin, step = 0; panel < range.end; panel += step) {
        step = range.end - panel >= max_panels ? max_panels : 1;
        const auto& functions = step == 1 ? forward_one : forward_most;
        const std::size_t column = panel * panel_width;
        ForwardTile tile{};
        tile.x_row = out;
        tile.runs = 1;
        tile.w = turned;
        tile.panel_stride = block_outputs * panel_width;
        tile.y_row = in;
        tile.columns = HWY_MIN(step * panel_width, in - column);
        for (std::size_t block = 0; block < out; block += block_outputs) {
            const std::size_t outputs = HWY_MIN(block_outputs, out - block);
            for (std::size_t j = 0; j < outputs; j += panel_width) {
                const float* weights = work.packed + ((block + j) * in + column * panel_width);
                for (std::size_t p = 0; p < step; ++p, weights += panel_width * panel_width) {
                    float* to = turned + (p * block_outputs + j) * panel_width;
                    const std::size_t inputs = in - column - p * panel_width;
                    if (inputs >= panel_width) {
                        transpose_panel(weights, to);
                    } else {
                        transpose_part(weights, inputs, to);
                    }
                }
            }
            tile.run_length = outputs;
            in_equal_parts(range.row_end - range.row_begin, max_rows, [&](std::size_t begin, std::size_t rows) HWY_ATTR {
                const std::size_t row = range.row_begin + begin;
                tile.x = work.dy + row * out + block;
                tile.y = work.dx + row * in + column;
                tile.start = block == 0 ? nullptr : tile.y;
                tile.start_row = in;
                tile.gate = work.relu_output == nullptr ? nullptr : work.relu_output + row * in + column;
                functions[rows - 1](tile);
            });
        }
    }
}

/// scaled (rows, panels, 16) = scale * dy, zeros where dy has no column; bias takes the sum over the rows.
template <int panels>
HWY_INLINE void scale_slopes(const DenseBackwardWeights& work, std::size_t row, std::size_t rows, std::size_t column, float bias_decay,
                             float* HWY_RESTRICT scaled) {
    const std::size_t out = work.shape.out;
    const Vector scale = broadcast(work.scale);
    for (int v = 0; v < panels * panel_vectors; ++v) {
        const std::ptrdiff_t count = static_cast<std::ptrdiff_t>(out - column) - v * lanes;
        if (count <= 0) {
            for (std::size_t r = 0; r < rows; ++r) store(zero(), scaled + r * panels * panel_width + v * lanes);
            continue;
        }
        float* bias = work.bias + column + v * lanes;
        const float* dy = work.dy + row * out + column + v * lanes;
        Vector sum = bias_decay == 0 ? zero() : multiply(broadcast(bias_decay), load_first(bias, count));
        for (std::size_t r = 0; r < rows; ++r) {
            const Vector slope = multiply(scale, load_first(dy + r * out, count));
            sum = add(sum, slope);
            store(slope, scaled + r * panels * panel_width + v * lanes);
        }
        store_first(sum, bias, count);
    }
}

template <int panels, class Functions>
HWY_INLINE void backward_weights_panels(const DenseBackwardWeights& work, std::size_t panel, const Functions& functions) {
    constexpr std::size_t block_rows = 64;
    const std::size_t in = work.shape.in;
    HWY_ALIGN float scaled[block_rows * panels * panel_width];
    // An empty batch still decays.
    for (std::size_t row = 0; row == 0 || row < work.batch; row += block_rows) {
        const std::size_t rows = HWY_MIN(block_rows, work.batch - row);
        scale_slopes<panels>(work, row, rows, panel * panel_width, row == 0 ? work.bias_decay : 1.0F, scaled);
        GradientTile tile{};
        tile.outer = 1;
        tile.inner = rows;
        tile.x_inner = in;
        tile.dy = scaled;
        tile.dy_inner = panels * panel_width;
        tile.panel_stride = in * panel_width;
        tile.decay = row == 0 ? work.decay : 1.0F;
        in_equal_parts(in, max_rows, [&](std::size_t k, std::size_t length) HWY_ATTR {
            tile.x = work.x + row * in + k;
            tile.w = work.packed + (panel * in + k) * panel_width;
            functions[length - 1](tile);
        });
    }
}

#if HWY_TARGET == HWY_AVX3
constexpr auto gradient_of_few = few_items_functions(Rows{});

void backward_weights_of_few(const DenseBackwardWeights& work, const DenseRange& range) {
    HWY_ALIGN float scaled[max_rows * panel_width];
    for (std::size_t panel = range.begin; panel < range.end; ++panel) {
        scale_slopes<1>(work, 0, work.batch, panel * panel_width, work.bias_decay, scaled);
        gradient_of_few[work.batch - 1]({.x = work.x,
                                         .x_item = work.shape.in,
                                         .dy = scaled,
                                         .rows = work.shape.in,
                                         .w = work.packed + panel * work.shape.in * panel_width,
                                         .decay = work.decay});
    }
}
#endif

/// begin, end: panels.
void backward_weights_range(const DenseBackwardWeights& work, const DenseRange& range) {
#if HWY_TARGET == HWY_AVX3
    if (work.batch > 0 && work.batch <= max_rows) return backward_weights_of_few(work, range);
#endif
    std::size_t panel = range.begin;
    for (; panel + max_panels <= range.end; panel += max_panels) backward_weights_panels<max_panels>(work, panel, gradient_most);
    for (; panel < range.end; ++panel) backward_weights_panels<1>(work, panel, gradient_one);
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

/// Many rows are shared out; a small batch is cut by panels, so that the weights are read once.
bool by_rows(std::size_t batch, const Threads& threads) {
    return batch >= 32 * threads.count();
}

}  // namespace

void dense_forward(const DenseShape& shape, std::size_t batch, const float* x, const float* packed, const float* bias, float* y, bool relu,
                   const Threads& threads) {
    const DenseForward work{shape, x, packed, bias, y, relu};
    const auto forward = HWY_DYNAMIC_DISPATCH(forward_range);
    if (by_rows(batch, threads)) {
        share(threads, batch, shape.in * shape.out, [&](std::size_t begin, std::size_t end) {
            forward(work, {begin, end, 0, shape.panels()});
        });
    } else {
        share(threads, (shape.panels() + 1) / 2, 2 * batch * shape.in * panel_width, [&](std::size_t begin, std::size_t end) {
            forward(work, {0, batch, 2 * begin, std::min(2 * end, shape.panels())});
        });
    }
}

void dense_backward_input(const DenseShape& shape, std::size_t batch, const float* dy, const float* packed, const float* relu_output,
                          float* dx, const Threads& threads) {
    const DenseBackwardInput work{shape, dy, packed, relu_output, dx};
    const auto backward = HWY_DYNAMIC_DISPATCH(backward_input_range);
    const std::size_t panels = (shape.in + panel_width - 1) / panel_width;
    if (by_rows(batch, threads)) {
        share(threads, batch, shape.in * shape.out, [&](std::size_t begin, std::size_t end) { backward(work, {begin, end, 0, panels}); });
    } else {
        share(threads, (panels + 1) / 2, 2 * batch * shape.out * panel_width, [&](std::size_t begin, std::size_t end) {
            backward(work, {0, batch, 2 * begin, std::min(2 * end, panels)});
        });
    }
}

void dense_backward_weights(const DenseShape& shape, std::size_t batch, const float* x, const float* dy, float scale, float decay,
                            float* packed, float bias_decay, float* bias, const Threads& threads) {
    const DenseBackwardWeights work{shape, batch, x, dy, scale, decay, packed, bias_decay, bias};
    const auto backward = HWY_DYNAMIC_DISPATCH(backward_weights_range);
    share(threads, (shape.panels() + 1) / 2, 2 * batch * shape.in * panel_width, [&](std::size_t begin, std::size_t end) {
        backward(work, {0, 0, 2 * begin, std::min(2 * end, shape.panels())});
    });
}

}  // namespace silosum::kernels
#endif

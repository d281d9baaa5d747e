// Two-dimensional convolution (cross-correlation, as in deep learning) over channels-last images, direct, no im2col buffer.
// Weights are packed like dense ones, with rows k = (kernel row, kernel column, input channel): packed[p][ky][kx][c][16].
#pragma once

#include <cstddef>
#include <span>

#include "base/threads.hpp"
#include "device/cuda_stream.hpp"
#include "kernels/dense.hpp"

namespace silosum::kernels {

struct ConvShape {
    std::size_t in_channels = 0;
    std::size_t height = 0;
    std::size_t width = 0;
    std::size_t out_channels = 0;
    std::size_t kernel_height = 0;
    std::size_t kernel_width = 0;
    std::size_t stride = 1;
    std::size_t padding = 0;  // zeros on every side, less than the kernel's height and width

    [[nodiscard]] std::size_t out_height() const { return (height + 2 * padding - kernel_height) / stride + 1; }
    [[nodiscard]] std::size_t out_width() const { return (width + 2 * padding - kernel_width) / stride + 1; }
    [[nodiscard]] std::size_t taps() const { return kernel_height * kernel_width * in_channels; }
    [[nodiscard]] std::size_t panels() const { return (out_channels + panel_width - 1) / panel_width; }
    [[nodiscard]] std::size_t packed_size() const { return panels() * taps() * panel_width; }
    [[nodiscard]] std::size_t in_size() const { return height * width * in_channels; }                // floats of one sample
    [[nodiscard]] std::size_t out_size() const { return out_height() * out_width() * out_channels; }  // floats of one sample
    [[nodiscard]] std::size_t padded_size() const { return (height + 2 * padding) * (width + 2 * padding) * in_channels; }
    /// Packed size of the weights that the backward pass over the input needs: input channels take the outputs' place.
    [[nodiscard]] std::size_t flipped_size() const {
        return (in_channels + panel_width - 1) / panel_width * kernel_height * kernel_width * out_channels * panel_width;
    }
    /// Floats of scratch that conv2d_backward_input needs for one sample and thread.
    [[nodiscard]] std::size_t scratch_size() const;
    /// A GPU adds up the weights' gradient in parts of so many output pixels: a function of the sum's length alone, so that its bits are
    /// too.
    [[nodiscard]] std::size_t gpu_part(std::size_t samples) const {
        constexpr std::size_t least = 512, most_parts = 128;
        const std::size_t pixels = samples * out_height() * out_width();
        const std::size_t part = pixels <= least * most_parts ? least : (pixels + most_parts - 1) / most_parts;
        return (part + 15) / 16 * 16;
    }
    [[nodiscard]] std::size_t gpu_parts(std::size_t samples) const {
        return (samples * out_height() * out_width() + gpu_part(samples) - 1) / gpu_part(samples);
    }
    /// Floats of a GPU's workspace that conv2d_backward_weights takes: the sums of the parts.
    [[nodiscard]] std::size_t gpu_workspace(std::size_t samples) const {
        const std::size_t parts = gpu_parts(samples);
        return parts > 1 ? parts * (taps() + 1) * panels() * panel_width : 0;
    }
};

/// weights: (out_channels, in_channels, kernel_height, kernel_width) as PyTorch keeps them <-> packed.
void conv2d_pack(const ConvShape& shape, std::span<const float> weights, std::span<float> packed);
void conv2d_unpack(const ConvShape& shape, std::span<const float> packed, std::span<float> weights);
/// packed -> flipped, for conv2d_backward_input; needed once after the weights changed.
void conv2d_flip(const ConvShape& shape, const float* packed, float* flipped, const Threads& threads);

/// x (samples, height, width, in_channels) -> padded (samples, height + 2 padding, width + 2 padding, in_channels) with a border of zeros.
void conv2d_pad(const ConvShape& shape, std::size_t samples, const float* x, float* padded, const Threads& threads);

/// y (samples, out_height, out_width, out_channels) = padded * weights + bias; negative results become 0 when relu is set.
void conv2d_forward(const ConvShape& shape, std::size_t samples, const float* padded, const float* packed, const float* bias, float* y,
                    bool relu, const Threads& threads);

/// dx (samples, height, width, in_channels) from dy; scratch: threads.count() * shape.scratch_size() floats.
/// Where relu_output (shape of dx) is given, dx is 0 wherever it is not positive.
void conv2d_backward_input(const ConvShape& shape, std::size_t samples, const float* dy, const float* flipped, const float* relu_output,
                           float* scratch, float* dx, const Threads& threads);

/// packed gradient = decay * old + scale * sum over samples and pixels; bias likewise (see dense_backward_weights).
/// Samples are added in order, so calling it for parts of a batch one after the other (decay 1 from the second on) gives the same bits.
void conv2d_backward_weights(const ConvShape& shape, std::size_t samples, const float* padded, const float* dy, float scale, float decay,
                             float* packed, float bias_decay, float* bias, const Threads& threads);

// On a GPU: the same, with pointers to its memory, in the order of the stream; nothing waits.
SILOSUM_CUDA_ONLY void conv2d_flip(const ConvShape& shape, const float* packed, float* flipped, const CudaStream& stream);
SILOSUM_CUDA_ONLY void conv2d_pad(const ConvShape& shape, std::size_t samples, const float* x, float* padded, const CudaStream& stream);
SILOSUM_CUDA_ONLY void conv2d_forward(const ConvShape& shape, std::size_t samples, const float* padded, const float* packed,
                                      const float* bias, float* y, bool relu, const CudaStream& stream);
SILOSUM_CUDA_ONLY void conv2d_backward_input(const ConvShape& shape, std::size_t samples, const float* dy, const float* flipped,
                                             const float* relu_output, float* scratch, float* dx, const CudaStream& stream);
SILOSUM_CUDA_ONLY void conv2d_backward_weights(const ConvShape& shape, std::size_t samples, const float* padded, const float* dy,
                                               float scale, float decay, float* packed, float bias_decay, float* bias,
                                               const CudaStream& stream);

}  // namespace silosum::kernels

// Fully connected layer: y = x W^T + b, its backward pass, and the SGD step fused into the weight gradient.
// Weights are kept packed in panels of 16 outputs, packed[p][k][16] for outputs 16p .. 16p+15, padded with zeros.
// Every output element is one fixed sequence of fused multiply-adds, so results depend neither on threads nor on tiling.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/threads.hpp"
#include "device/cuda_stream.hpp"

namespace silosum::kernels {

inline constexpr std::size_t panel_width = 16;

struct DenseShape {
    std::size_t in = 0;
    std::size_t out = 0;
    [[nodiscard]] std::size_t panels() const { return (out + panel_width - 1) / panel_width; }
    [[nodiscard]] std::size_t packed_size() const { return panels() * in * panel_width; }
};

/// weights: (out, in) row-major as PyTorch keeps them -> packed. With input_order (in entries), column input_order[k] of the weights
/// becomes row k of the panels: the layer then takes its inputs in another order (a flattened channels-last image) than the weights state.
void dense_pack(const DenseShape& shape, std::span<const float> weights, std::span<float> packed,
                std::span<const std::uint32_t> input_order = {});
/// The inverse of dense_pack; padding is dropped.
void dense_unpack(const DenseShape& shape, std::span<const float> packed, std::span<float> weights,
                  std::span<const std::uint32_t> input_order = {});

/// y (batch, out) = x (batch, in) W^T + bias (out); negative results become 0 when relu is set.
void dense_forward(const DenseShape& shape, std::size_t batch, const float* x, const float* packed, const float* bias, float* y, bool relu,
                   const Threads& threads);

/// dx (batch, in) = dy (batch, out) W. Where relu_output (batch, in) is given, dx is 0 wherever it is not positive:
/// the derivative of the relu that produced this layer's input.
void dense_backward_input(const DenseShape& shape, std::size_t batch, const float* dy, const float* packed, const float* relu_output,
                          float* dx, const Threads& threads);

/// packed = decay * packed + scale * dy^T x, bias = bias_decay * bias + scale * sum over batch of dy.
/// decay 0, scale 1 gives the gradient (old contents may be anything, NaN included); decay 1 - lr * weight_decay, scale -lr is an SGD step.
void dense_backward_weights(const DenseShape& shape, std::size_t batch, const float* x, const float* dy, float scale, float decay,
                            float* packed, float bias_decay, float* bias, const Threads& threads);

// On a GPU: the same, with pointers to its memory, in the order of the stream; nothing waits.
SILOSUM_CUDA_ONLY void dense_forward(const DenseShape& shape, std::size_t batch, const float* x, const float* packed, const float* bias,
                                     float* y, bool relu, const CudaStream& stream);
SILOSUM_CUDA_ONLY void dense_backward_input(const DenseShape& shape, std::size_t batch, const float* dy, const float* packed,
                                            const float* relu_output, float* dx, const CudaStream& stream);
SILOSUM_CUDA_ONLY void dense_backward_weights(const DenseShape& shape, std::size_t batch, const float* x, const float* dy, float scale,
                                              float decay, float* packed, float bias_decay, float* bias, const CudaStream& stream);

}  // namespace silosum::kernels

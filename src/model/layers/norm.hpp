// Layer and group normalisation, as PyTorch's LayerNorm over all features of a sample and GroupNorm.
#pragma once

#include "kernels/norm.hpp"
#include "model/layer.hpp"

namespace silosum {

class Norm final : public Layer {
public:
    /// Normalises all features of a sample together; one weight and bias for each.
    [[nodiscard]] static kernels::NormShape layer_norm(const Shape& in);
    /// Normalises groups of channels; one weight and bias for each channel. `groups` divides the channels.
    [[nodiscard]] static kernels::NormShape group_norm(const Shape& in, std::size_t groups);

    Norm(const Shape& in, const kernels::NormShape& shape);

    [[nodiscard]] std::vector<LayerTensor> tensors() const override;
    [[nodiscard]] std::size_t packed_size() const override { return 2 * rounded_up(shape_.weights()); }
    void pack(std::span<const float> flat, float* packed) const override;
    void unpack(const float* packed, std::span<float> flat) const override;
    /// Mean and deviation of each group.
    [[nodiscard]] std::size_t state_size() const override { return 2 * shape_.groups; }
    [[nodiscard]] bool backward_needs_input() const override { return true; }
    void forward(const Pass& pass, const float* x, float* y) const override;
    void backward(const Pass& pass, const float* x, const float* y, const float* dy, float* dx, bool input_is_relu,
                  const GradientTarget& gradient) const override;

private:
    kernels::NormShape shape_;
    std::vector<std::uint32_t> order_;  // per-feature weights of an image: memory order -> PyTorch's
};

}  // namespace silosum

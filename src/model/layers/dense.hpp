// Fully connected layer, y = x W^T + b.
#pragma once

#include "kernels/dense.hpp"
#include "model/layer.hpp"

namespace silosum {

class Dense final : public Layer {
public:
    Dense(const Shape& in, std::size_t outputs);

    [[nodiscard]] std::vector<LayerTensor> tensors() const override;
    [[nodiscard]] std::size_t packed_size() const override;
    void pack(std::span<const float> flat, float* packed) const override;
    void unpack(const float* packed, std::span<float> flat) const override;
    [[nodiscard]] bool steps_in_place() const override { return true; }
    [[nodiscard]] bool backward_needs_input() const override { return true; }
    [[nodiscard]] bool fuse_relu() override { return relu_ = true; }
    [[nodiscard]] ReluMask relu_mask() const override { return ReluMask::from_input; }
    void forward(const Pass& pass, const float* x, float* y) const override;
    void backward(const Pass& pass, const float* x, const float* y, const float* dy, float* dx, bool input_is_relu,
                  const GradientTarget& gradient) const override;

private:
    kernels::DenseShape shape_;
    std::vector<std::uint32_t> input_order_;
    bool relu_ = false;
};

}  // namespace silosum

// Max and average pooling with square windows.
#pragma once

#include "kernels/pool2d.hpp"
#include "model/layer.hpp"

namespace silosum {

struct PoolSettings {
    std::size_t window = 2;
    std::size_t stride = 2;
    std::size_t padding = 0;
};

class MaxPool final : public Layer {
public:
    /// The window must fit into the padded image.
    MaxPool(const Shape& in, const PoolSettings& settings);

    /// One byte for each output: which value of the window won.
    [[nodiscard]] std::size_t state_size() const override { return (shape_.out_size() + 3) / 4; }
    [[nodiscard]] ReluMask relu_mask() const override { return ReluMask::from_output; }
    void forward(const Pass& pass, const float* x, float* y) const override;
    void backward(const Pass& pass, const float* x, const float* y, const float* dy, float* dx, bool input_is_relu,
                  const GradientTarget& gradient) const override;

private:
    kernels::PoolShape shape_;
};

class AveragePool final : public Layer {
public:
    AveragePool(const Shape& in, const PoolSettings& settings);

    void forward(const Pass& pass, const float* x, float* y) const override;
    void backward(const Pass& pass, const float* x, const float* y, const float* dy, float* dx, bool input_is_relu,
                  const GradientTarget& gradient) const override;

private:
    kernels::PoolShape shape_;
};

}  // namespace silosum

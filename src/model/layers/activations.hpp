// Elementwise activations: relu, tanh, sigmoid and gelu.
#pragma once

#include "model/layer.hpp"

namespace silosum {

/// relu, tanh and sigmoid: the derivative follows from the output, so that the output may replace the input.
class OutputActivation final : public Layer {
public:
    enum class Kind { relu, tanh, sigmoid };
    OutputActivation(const Shape& shape, Kind kind) : Layer(shape, shape), kind_(kind) {}

    [[nodiscard]] bool backward_needs_output() const override { return true; }
    [[nodiscard]] bool runs_in_place() const override { return true; }
    [[nodiscard]] bool is_relu() const override { return kind_ == Kind::relu; }
    void forward(const Pass& pass, const float* x, float* y) const override;
    void backward(const Pass& pass, const float* x, const float* y, const float* dy, float* dx, bool input_is_relu,
                  const GradientTarget& gradient) const override;

private:
    Kind kind_;
};

/// GELU in its tanh form; the derivative needs the input.
class Gelu final : public Layer {
public:
    explicit Gelu(const Shape& shape) : Layer(shape, shape) {}

    [[nodiscard]] bool backward_needs_input() const override { return true; }
    void forward(const Pass& pass, const float* x, float* y) const override;
    void backward(const Pass& pass, const float* x, const float* y, const float* dy, float* dx, bool input_is_relu,
                  const GradientTarget& gradient) const override;
};

}  // namespace silosum

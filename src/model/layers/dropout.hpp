// Inverted dropout. Which values are kept is a function of (seed, silo, round, step, place), never of rank, batch size or threads.
#pragma once

#include "model/layer.hpp"

namespace silosum {

class Dropout final : public Layer {
public:
    /// 0 <= rate < 1
    Dropout(const Shape& shape, double rate) : Layer(shape, shape), rate_(static_cast<float>(rate)) {}

    [[nodiscard]] bool runs_in_place() const override { return true; }
    [[nodiscard]] bool is_dropout() const override { return true; }
    void forward(const Pass& pass, const float* x, float* y) const override;
    void backward(const Pass& pass, const float* x, const float* y, const float* dy, float* dx, bool input_is_relu,
                  const GradientTarget& gradient) const override;

private:
    float rate_;
};

}  // namespace silosum

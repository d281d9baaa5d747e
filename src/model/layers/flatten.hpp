// An image becomes a vector. Nothing moves in memory; layers behind it know the order of the values from the shape.
#pragma once

#include <cassert>

#include "model/layer.hpp"

namespace silosum {

class Flatten final : public Layer {
public:
    explicit Flatten(const Shape& in) : Layer(in, flat(in)) {}

    [[nodiscard]] bool is_only_a_shape() const override { return true; }
    void forward(const Pass& /*pass*/, const float* /*x*/, float* /*y*/) const override { assert(false); }
    void backward(const Pass& /*pass*/, const float* /*x*/, const float* /*y*/, const float* /*dy*/, float* /*dx*/, bool /*input_is_relu*/,
                  const GradientTarget& /*gradient*/) const override {
        assert(false);
    }

private:
    static Shape flat(Shape shape) {
        shape.is_image = false;
        return shape;
    }
};

}  // namespace silosum

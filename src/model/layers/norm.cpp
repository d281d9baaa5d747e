#include "model/layers/norm.hpp"

namespace silosum {

kernels::NormShape Norm::layer_norm(const Shape& in) {
    return {.pixels = in.pixels(), .channels = in.channels, .groups = 1, .per_feature = true};
}

kernels::NormShape Norm::group_norm(const Shape& in, std::size_t groups) {
    return {.pixels = in.pixels(), .channels = in.channels, .groups = groups, .per_feature = false};
}

Norm::Norm(const Shape& in, const kernels::NormShape& shape) : Layer(in, in), shape_(shape) {
    if (shape.per_feature) order_ = in.flat_order();
}

std::vector<LayerTensor> Norm::tensors() const {
    std::vector<std::size_t> extents{shape_.weights()};
    if (shape_.per_feature && in().is_image) extents = {in().channels, in().height, in().width};
    return {{"weight", extents, TensorRole::norm_weight}, {"bias", extents, TensorRole::norm_bias}};
}

void Norm::pack(std::span<const float> flat, float* packed) const {
    const std::size_t n = shape_.weights();
    for (std::size_t k = 0; k < n; ++k) {
        const std::size_t at = order_.empty() ? k : order_[k];
        packed[k] = flat[at];
        packed[rounded_up(n) + k] = flat[n + at];
    }
}

void Norm::unpack(const float* packed, std::span<float> flat) const {
    const std::size_t n = shape_.weights();
    for (std::size_t k = 0; k < n; ++k) {
        const std::size_t at = order_.empty() ? k : order_[k];
        flat[at] = packed[k];
        flat[n + at] = packed[rounded_up(n) + k];
    }
}

void Norm::forward(const Pass& pass, const float* x, float* y) const {
    const float* bias = pass.parameters + rounded_up(shape_.weights());
    pass.stream->run([&](const auto& on) { kernels::norm_forward(shape_, pass.samples, x, pass.parameters, bias, y, pass.state, on); });
}

void Norm::backward(const Pass& pass, const float* x, const float* /*y*/, const float* dy, float* dx, bool /*input_is_relu*/,
                    const GradientTarget& gradient) const {
    pass.stream->run([&](const auto& on) {
        kernels::norm_backward(shape_, pass.samples, x, pass.parameters, pass.state, dy, dx, gradient.scale, gradient.decay,
                               gradient.target, gradient.target + rounded_up(shape_.weights()), on);
    });
}

}  // namespace silosum

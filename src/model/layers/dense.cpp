#include "model/layers/dense.hpp"

#include <algorithm>

namespace silosum {

Dense::Dense(const Shape& in, std::size_t outputs)
    : Layer(in, vector_of(outputs)), shape_{.in = in.size(), .out = outputs}, input_order_(in.flat_order()) {}

std::vector<LayerTensor> Dense::tensors() const {
    return {{"weight", {shape_.out, shape_.in}, TensorRole::weight, shape_.in, shape_.out},
            {"bias", {shape_.out}, TensorRole::bias, shape_.in, shape_.out}};
}

std::size_t Dense::packed_size() const {
    return shape_.packed_size() + rounded_up(shape_.out);
}

void Dense::pack(std::span<const float> flat, float* packed) const {
    const std::size_t weights = shape_.in * shape_.out;
    kernels::dense_pack(shape_, flat.first(weights), {packed, shape_.packed_size()}, input_order_);
    std::copy_n(flat.data() + weights, shape_.out, packed + shape_.packed_size());
}

void Dense::unpack(const float* packed, std::span<float> flat) const {
    const std::size_t weights = shape_.in * shape_.out;
    kernels::dense_unpack(shape_, {packed, shape_.packed_size()}, flat.first(weights), input_order_);
    std::copy_n(packed + shape_.packed_size(), shape_.out, flat.data() + weights);
}

void Dense::forward(const Pass& pass, const float* x, float* y) const {
    pass.stream->run([&](const auto& on) {
        kernels::dense_forward(shape_, pass.samples, x, pass.parameters, pass.parameters + shape_.packed_size(), y, relu_, on);
    });
}

void Dense::backward(const Pass& pass, const float* x, const float* /*y*/, const float* dy, float* dx, bool input_is_relu,
                     const GradientTarget& gradient) const {
    pass.stream->run([&](const auto& on) {
        // The input's gradient first: the weights may be overwritten by their own step.
        if (dx != nullptr) {
            kernels::dense_backward_input(shape_, pass.samples, dy, pass.parameters, input_is_relu ? x : nullptr, dx, on);
        }
        kernels::dense_backward_weights(shape_, pass.samples, x, dy, gradient.scale, gradient.decay, gradient.target, gradient.decay,
                                        gradient.target + shape_.packed_size(), on);
    });
}

}  // namespace silosum

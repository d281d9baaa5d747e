#include "model/layers/conv2d.hpp"

#include <algorithm>

namespace silosum {

namespace {

kernels::ConvShape shape_for(const Shape& in, const Conv2d::Settings& settings) {
    return {.in_channels = in.channels,
            .height = in.height,
            .width = in.width,
            .out_channels = settings.channels,
            .kernel_height = settings.kernel,
            .kernel_width = settings.kernel,
            .stride = settings.stride,
            .padding = settings.padding};
}

Shape out_of(const kernels::ConvShape& shape) {
    return {.height = shape.out_height(), .width = shape.out_width(), .channels = shape.out_channels, .is_image = true};
}

}  // namespace

Conv2d::Conv2d(const Shape& in, const Settings& settings) : Layer(in, out_of(shape_for(in, settings))), shape_(shape_for(in, settings)) {}

std::vector<LayerTensor> Conv2d::tensors() const {
    const std::size_t fan_out = shape_.kernel_height * shape_.kernel_width * shape_.out_channels;
    return {{"weight",
             {shape_.out_channels, shape_.in_channels, shape_.kernel_height, shape_.kernel_width},
             TensorRole::weight,
             shape_.taps(),
             fan_out},
            {"bias", {shape_.out_channels}, TensorRole::bias, shape_.taps(), fan_out}};
}

std::size_t Conv2d::packed_size() const {
    return shape_.packed_size() + rounded_up(shape_.out_channels);
}

void Conv2d::pack(std::span<const float> flat, float* packed) const {
    const std::size_t weights = shape_.taps() * shape_.out_channels;
    kernels::conv2d_pack(shape_, flat.first(weights), {packed, shape_.packed_size()});
    std::copy_n(flat.data() + weights, shape_.out_channels, packed + shape_.packed_size());
}

void Conv2d::unpack(const float* packed, std::span<float> flat) const {
    const std::size_t weights = shape_.taps() * shape_.out_channels;
    kernels::conv2d_unpack(shape_, {packed, shape_.packed_size()}, flat.first(weights));
    std::copy_n(packed + shape_.packed_size(), shape_.out_channels, flat.data() + weights);
}

void Conv2d::prepare_backward(const Stream& stream, const float* parameters, float* derived) const {
    stream.run([&](const auto& on) { kernels::conv2d_flip(shape_, parameters, derived, on); });
}

void Conv2d::forward(const Pass& pass, const float* x, float* y) const {
    pass.stream->run([&](const auto& on) {
        const float* padded = x;
        if (shape_.padding > 0) {
            kernels::conv2d_pad(shape_, pass.samples, x, pass.state, on);
            padded = pass.state;
        }
        kernels::conv2d_forward(shape_, pass.samples, padded, pass.parameters, pass.parameters + shape_.packed_size(), y, relu_, on);
    });
}

void Conv2d::backward(const Pass& pass, const float* x, const float* /*y*/, const float* dy, float* dx, bool input_is_relu,
                      const GradientTarget& gradient) const {
    const float* padded = shape_.padding > 0 ? pass.state : x;
    pass.stream->run([&](const auto& on) {
        if (dx != nullptr) {
            kernels::conv2d_backward_input(shape_, pass.samples, dy, pass.derived, input_is_relu ? x : nullptr, pass.scratch, dx, on);
        }
        kernels::conv2d_backward_weights(shape_, pass.samples, padded, dy, gradient.scale, gradient.decay, gradient.target, gradient.decay,
                                         gradient.target + shape_.packed_size(), on);
    });
}

}  // namespace silosum

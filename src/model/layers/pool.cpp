#include "model/layers/pool.hpp"

namespace silosum {

namespace {

kernels::PoolShape shape_for(const Shape& in, const PoolSettings& settings) {
    return {.channels = in.channels,
            .height = in.height,
            .width = in.width,
            .window = settings.window,
            .stride = settings.stride,
            .padding = settings.padding};
}

Shape out_of(const kernels::PoolShape& shape) {
    return {.height = shape.out_height(), .width = shape.out_width(), .channels = shape.channels, .is_image = true};
}

}  // namespace

MaxPool::MaxPool(const Shape& in, const PoolSettings& settings)
    : Layer(in, out_of(shape_for(in, settings))), shape_(shape_for(in, settings)) {}

void MaxPool::forward(const Pass& pass, const float* x, float* y) const {
    pass.stream->run(
        [&](const auto& on) { kernels::max_pool_forward(shape_, pass.samples, x, y, reinterpret_cast<std::uint8_t*>(pass.state), on); });
}

void MaxPool::backward(const Pass& pass, const float* /*x*/, const float* y, const float* dy, float* dx, bool input_is_relu,
                       const GradientTarget& /*gradient*/) const {
    pass.stream->run([&](const auto& on) {
        kernels::max_pool_backward(shape_, pass.samples, dy, reinterpret_cast<const std::uint8_t*>(pass.state), input_is_relu ? y : nullptr,
                                   dx, on);
    });
}

AveragePool::AveragePool(const Shape& in, const PoolSettings& settings)
    : Layer(in, out_of(shape_for(in, settings))), shape_(shape_for(in, settings)) {}

void AveragePool::forward(const Pass& pass, const float* x, float* y) const {
    pass.stream->run([&](const auto& on) { kernels::average_pool_forward(shape_, pass.samples, x, y, on); });
}

void AveragePool::backward(const Pass& pass, const float* /*x*/, const float* /*y*/, const float* dy, float* dx, bool /*input_is_relu*/,
                           const GradientTarget& /*gradient*/) const {
    pass.stream->run([&](const auto& on) { kernels::average_pool_backward(shape_, pass.samples, dy, dx, on); });
}

}  // namespace silosum

#include "model/layers/activations.hpp"

#include "kernels/activation.hpp"

namespace silosum {

void OutputActivation::forward(const Pass& pass, const float* x, float* y) const {
    const std::size_t n = pass.samples * in().size();
    pass.stream->run([&](const auto& on) {
        switch (kind_) {
            case Kind::relu:
                return kernels::relu_forward(n, x, y, on);
            case Kind::tanh:
                return kernels::tanh_forward(n, x, y, on);
            case Kind::sigmoid:
                return kernels::sigmoid_forward(n, x, y, on);
        }
    });
}

void OutputActivation::backward(const Pass& pass, const float* /*x*/, const float* y, const float* dy, float* dx, bool /*input_is_relu*/,
                                const GradientTarget& /*gradient*/) const {
    const std::size_t n = pass.samples * in().size();
    pass.stream->run([&](const auto& on) {
        switch (kind_) {
            case Kind::relu:
                return kernels::relu_backward(n, y, dy, dx, on);
            case Kind::tanh:
                return kernels::tanh_backward(n, y, dy, dx, on);
            case Kind::sigmoid:
                return kernels::sigmoid_backward(n, y, dy, dx, on);
        }
    });
}

void Gelu::forward(const Pass& pass, const float* x, float* y) const {
    pass.stream->run([&](const auto& on) { kernels::gelu_forward(pass.samples * in().size(), x, y, on); });
}

void Gelu::backward(const Pass& pass, const float* x, const float* /*y*/, const float* dy, float* dx, bool /*input_is_relu*/,
                    const GradientTarget& /*gradient*/) const {
    pass.stream->run([&](const auto& on) { kernels::gelu_backward(pass.samples * in().size(), x, dy, dx, on); });
}

}  // namespace silosum

#include "model/layers/dropout.hpp"

#include "kernels/activation.hpp"

namespace silosum {

void Dropout::forward(const Pass& pass, const float* x, float* y) const {
    const std::size_t n = pass.samples * in().size();
    if (pass.training) {
        pass.stream->run([&](const auto& on) { kernels::dropout(n, *pass.dropout, pass.dropout_first, rate_, x, y, on); });
    } else if (x != y) {
        pass.stream->copy(std::span(x, n), std::span(y, n));
    }
}

void Dropout::backward(const Pass& pass, const float* /*x*/, const float* /*y*/, const float* dy, float* dx, bool /*input_is_relu*/,
                       const GradientTarget& /*gradient*/) const {
    pass.stream->run(
        [&](const auto& on) { kernels::dropout(pass.samples * in().size(), *pass.dropout, pass.dropout_first, rate_, dy, dx, on); });
}

}  // namespace silosum

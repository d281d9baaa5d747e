#include "model/layers/dropout.hpp"

#include <algorithm>

#include "kernels/activation.hpp"

namespace silosum {

void Dropout::forward(const Pass& pass, const float* x, float* y) const {
    const std::size_t n = pass.samples * in().size();
    if (pass.training) {
        kernels::dropout(n, *pass.dropout, pass.dropout_first, rate_, x, y, *pass.threads);
    } else if (x != y) {
        std::copy_n(x, n, y);
    }
}

void Dropout::backward(const Pass& pass, const float* /*x*/, const float* /*y*/, const float* dy, float* dx, bool /*input_is_relu*/,
                       const GradientTarget& /*gradient*/) const {
    kernels::dropout(pass.samples * in().size(), *pass.dropout, pass.dropout_first, rate_, dy, dx, *pass.threads);
}

}  // namespace silosum

#include "model/optimizer.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "kernels/optimizer_step.hpp"

namespace silosum {

Optimizer::Optimizer(const OptimizerSettings& settings, std::size_t packed_size)
    : settings_(settings),
      first_(settings.state_vectors() > 0 ? packed_size : 0),
      second_(settings.state_vectors() > 1 ? packed_size : 0) {}

void Optimizer::step(double lr, std::span<float> parameters, std::span<const float> gradient, const Threads& threads) {
    assert(parameters.size() == gradient.size());
    double scale = 1;
    if (settings_.clip_norm > 0) {
        const double norm = std::sqrt(kernels::sum_of_squares(gradient.size(), gradient.data(), threads));
        if (norm > settings_.clip_norm) scale = settings_.clip_norm / norm;
    }
    ++steps_;
    if (settings_.kind == OptimizerSettings::Kind::adam) {
        const kernels::AdamStep step{.lr = static_cast<float>(lr),
                                     .beta1 = static_cast<float>(settings_.beta1),
                                     .beta2 = static_cast<float>(settings_.beta2),
                                     .epsilon = static_cast<float>(settings_.epsilon),
                                     .weight_decay = static_cast<float>(settings_.weight_decay),
                                     .gradient_scale = static_cast<float>(scale),
                                     .step = steps_};
        kernels::adam_step(parameters.size(), step, parameters.data(), gradient.data(), first_.data(), second_.data(), threads);
        return;
    }
    const kernels::SgdStep step{.lr = static_cast<float>(lr),
                                .momentum = static_cast<float>(settings_.momentum),
                                .nesterov = settings_.nesterov,
                                .weight_decay = static_cast<float>(settings_.weight_decay),
                                .gradient_scale = static_cast<float>(scale)};
    kernels::sgd_step(parameters.size(), step, parameters.data(), gradient.data(), first_.data(), threads);
}

void Optimizer::plain_step(double lr, std::span<float> parameters, std::span<const float> gradient, const Threads& threads) const {
    assert(is_plain_sgd());
    const kernels::SgdStep step{.lr = static_cast<float>(lr), .weight_decay = static_cast<float>(settings_.weight_decay)};
    kernels::sgd_step(parameters.size(), step, parameters.data(), gradient.data(), nullptr, threads);
}

void Optimizer::reset() {
    std::fill(first_.begin(), first_.end(), 0.0F);
    std::fill(second_.begin(), second_.end(), 0.0F);
    steps_ = 0;
}

}  // namespace silosum

#include "model/optimizer.hpp"

#include <cassert>

#include "kernels/optimizer_step.hpp"

namespace silosum {

Optimizer::Optimizer(const OptimizerSettings& settings, std::size_t packed_size, const Stream& stream)
    : settings_(settings),
      stream_(stream),
      first_(stream.allocate<float>(settings.state_vectors() > 0 ? packed_size : 0)),
      second_(stream.allocate<float>(settings.state_vectors() > 1 ? packed_size : 0)),
      norm_(stream.allocate<double>(settings.clip_norm > 0 ? 1 : 0)),
      clip_(stream.allocate<float>(settings.clip_norm > 0 ? 1 : 0)) {}

void Optimizer::step(double lr, std::span<float> parameters, std::span<const float> gradient) {
    assert(parameters.size() == gradient.size());
    ++steps_;
    const std::size_t n = parameters.size();
    stream_.run([&](const auto& on) {
        if (settings_.clip_norm > 0) {
            kernels::sum_of_squares(n, gradient.data(), norm_.data(), on);
            kernels::clip_scale(norm_.data(), settings_.clip_norm, clip_.data(), on);
        }
        if (settings_.kind == OptimizerSettings::Kind::adam) {
            const kernels::AdamStep step{.lr = static_cast<float>(lr),
                                         .beta1 = static_cast<float>(settings_.beta1),
                                         .beta2 = static_cast<float>(settings_.beta2),
                                         .epsilon = static_cast<float>(settings_.epsilon),
                                         .weight_decay = static_cast<float>(settings_.weight_decay),
                                         .step = steps_};
            return kernels::adam_step(n, step, clip_.data(), parameters.data(), gradient.data(), first_.data(), second_.data(), on);
        }
        const kernels::SgdStep step{.lr = static_cast<float>(lr),
                                    .momentum = static_cast<float>(settings_.momentum),
                                    .nesterov = settings_.nesterov,
                                    .weight_decay = static_cast<float>(settings_.weight_decay)};
        kernels::sgd_step(n, step, clip_.data(), parameters.data(), gradient.data(), first_.data(), on);
    });
}

void Optimizer::plain_step(double lr, std::span<float> parameters, std::span<const float> gradient) const {
    assert(settings_.is_plain_sgd());
    const kernels::SgdStep step{.lr = static_cast<float>(lr), .weight_decay = static_cast<float>(settings_.weight_decay)};
    stream_.run(
        [&](const auto& on) { kernels::sgd_step(parameters.size(), step, nullptr, parameters.data(), gradient.data(), nullptr, on); });
}

void Optimizer::reset() {
    stream_.fill_with_zeros(first_.span());
    stream_.fill_with_zeros(second_.span());
    steps_ = 0;
}

}  // namespace silosum

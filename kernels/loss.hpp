// Losses with their gradients. Sums are taken in double in sample order; the caller divides.
#pragma once

#include <cstddef>
#include <cstdint>

namespace silosum::kernels {

/// What a batch contributes: sum of weighted losses, sum of sample weights, right answers.
struct LossSum {
    double loss = 0;
    double weight = 0;
    std::uint64_t correct = 0;
};

/// Softmax cross-entropy of logits (batch, classes) with labels in [0, classes). class_weights (classes) may be null (all 1).
/// gradient (batch, classes; may be null, may alias logits) = scale * weight of the label * (softmax - one-hot); scale is usually 1 / sum
/// of weights. A sample is right when the first largest logit is its label's.
[[nodiscard]] LossSum softmax_cross_entropy(std::size_t batch, std::size_t classes, const float* logits, const std::int32_t* labels,
                                            const float* class_weights, float scale, float* gradient);

/// Binary cross-entropy of one logit a sample with labels 0 or 1; class_weights (2) may be null; right when (logit > 0) == label.
[[nodiscard]] LossSum binary_cross_entropy(std::size_t batch, const float* logits, const std::int32_t* labels, const float* class_weights,
                                           float scale, float* gradient);

/// Squared error summed over samples and outputs: loss = sum (y - t)^2 / outputs, gradient = scale * 2 (y - t) / outputs. correct stays 0.
[[nodiscard]] LossSum squared_error(std::size_t batch, std::size_t outputs, const float* y, const float* targets, float scale,
                                    float* gradient);

/// probabilities (batch, classes) = softmax(logits); may alias.
void softmax(std::size_t batch, std::size_t classes, const float* logits, float* probabilities);

}  // namespace silosum::kernels

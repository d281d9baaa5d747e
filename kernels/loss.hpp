// Losses with their gradients. Sums are taken in double, on the processor in sample order.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/threads.hpp"
#include "device/cuda_stream.hpp"

namespace silosum::kernels {

/// What a batch contributes: sum of weighted losses, sum of sample weights, right answers.
struct LossSum {
    double loss = 0;
    double weight = 0;
    std::uint64_t correct = 0;
};

/// *scale = 1 / sum of the weights of the labels' classes, 0 where that is 0: what makes the gradient of a sum that of the mean.
/// class_weights may be null (all 1); labels may then be null too.
void mean_scale(std::size_t batch, const std::int32_t* labels, const float* class_weights, float* scale, const Threads& threads);

/// Softmax cross-entropy of logits (batch, classes) with labels in [0, classes). class_weights (classes) may be null (all 1).
/// gradient (batch, classes; may be null, may alias logits) = *scale * weight of the label * (softmax - one-hot); scale may be null
/// without a gradient. *sum is overwritten. A sample is right when the first largest logit is its label's.
void softmax_cross_entropy(std::size_t batch, std::size_t classes, const float* logits, const std::int32_t* labels,
                           const float* class_weights, const float* scale, float* gradient, LossSum* sum, const Threads& threads);

/// Binary cross-entropy of one logit a sample with labels 0 or 1; class_weights (2) may be null; right when (logit > 0) == label.
void binary_cross_entropy(std::size_t batch, const float* logits, const std::int32_t* labels, const float* class_weights,
                          const float* scale, float* gradient, LossSum* sum, const Threads& threads);

/// Squared error summed over samples and outputs: loss = sum (y - t)^2 / outputs, gradient = *scale * 2 (y - t) / outputs. correct stays 0.
void squared_error(std::size_t batch, std::size_t outputs, const float* y, const float* targets, const float* scale, float* gradient,
                   LossSum* sum, const Threads& threads);

// On a GPU: the same, with pointers to its memory (sum and scale too), in the order of the stream; nothing waits.
SILOSUM_CUDA_ONLY void mean_scale(std::size_t batch, const std::int32_t* labels, const float* class_weights, float* scale,
                                  const CudaStream& stream);
SILOSUM_CUDA_ONLY void softmax_cross_entropy(std::size_t batch, std::size_t classes, const float* logits, const std::int32_t* labels,
                                             const float* class_weights, const float* scale, float* gradient, LossSum* sum,
                                             const CudaStream& stream);
SILOSUM_CUDA_ONLY void binary_cross_entropy(std::size_t batch, const float* logits, const std::int32_t* labels, const float* class_weights,
                                            const float* scale, float* gradient, LossSum* sum, const CudaStream& stream);
SILOSUM_CUDA_ONLY void squared_error(std::size_t batch, std::size_t outputs, const float* y, const float* targets, const float* scale,
                                     float* gradient, LossSum* sum, const CudaStream& stream);

/// probabilities (batch, classes) = softmax(logits); may alias.
void softmax(std::size_t batch, std::size_t classes, const float* logits, float* probabilities);

}  // namespace silosum::kernels

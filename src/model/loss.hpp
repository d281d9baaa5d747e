// Losses by name, and how a batch is measured with them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/loss.hpp"
#include "model/task.hpp"

namespace silosum {

/// Some samples with what they should give.
struct Batch {
    std::size_t samples = 0;
    const float* x = nullptr;              // (samples, features), channels-last
    const std::int32_t* labels = nullptr;  // classification and binary
    const float* targets = nullptr;        // regression: (samples, outputs)
};

enum class Loss { softmax_cross_entropy, binary_cross_entropy, squared_error };

/// Names for the configuration, "auto" first.
[[nodiscard]] const std::vector<std::string>& loss_names();
/// "auto" is the usual loss of the task. Throws UsageError for an unknown name or one that does not fit the task.
[[nodiscard]] Loss loss_for(const Problem& problem, const std::string& name);

/// The name that is not "auto".
[[nodiscard]] const std::string& to_string(Loss loss);

/// Sum of the weights of the batch's samples; class_weights may be empty (all 1).
[[nodiscard]] double sum_of_weights(const Batch& batch, std::span<const float> class_weights);
/// Losses of outputs (samples, outputs), in sample order; gradient (same shape) = scale * derivative of the sum, or null.
[[nodiscard]] kernels::LossSum measure_loss(Loss loss, const Batch& batch, std::size_t outputs, const float* y,
                                            std::span<const float> class_weights, float scale, float* gradient);

}  // namespace silosum

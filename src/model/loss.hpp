// Losses by name, and how a batch is measured with them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "device/stream.hpp"
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

/// *sum = losses of outputs (samples, outputs); gradient (same shape, or null) = *scale * derivative of the sum. class_weights may be empty
/// (all 1). Everything that pointers and spans refer to is in the memory of the stream.
void measure_loss(const Stream& stream, Loss loss, const Batch& batch, std::size_t outputs, const float* y,
                  std::span<const float> class_weights, const float* scale, float* gradient, kernels::LossSum* sum);

}  // namespace silosum

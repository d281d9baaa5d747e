#include "model/loss.hpp"

#include "base/error.hpp"
#include "base/text.hpp"

namespace silosum {

const std::vector<std::string>& loss_names() {
    static const std::vector<std::string> names{"auto", "softmax_cross_entropy", "binary_cross_entropy", "mse"};
    return names;
}

Loss loss_for(const Problem& problem, const std::string& name) {
    const auto usual = static_cast<std::size_t>(problem.task);
    const auto& names = loss_names();
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (names[i] != name) continue;
        require(i == 0 || i == usual + 1, "loss {} does not fit the task {}; use auto or {}", name, to_string(problem.task),
                names[usual + 1]);
        return static_cast<Loss>(usual);
    }
    throw UsageError(unknown_name("loss", name, names));
}

const std::string& to_string(Loss loss) {
    return loss_names()[static_cast<std::size_t>(loss) + 1];
}

double sum_of_weights(const Batch& batch, std::span<const float> class_weights) {
    if (class_weights.empty()) return static_cast<double>(batch.samples);
    double sum = 0;
    for (std::size_t i = 0; i < batch.samples; ++i) sum += static_cast<double>(class_weights[static_cast<std::size_t>(batch.labels[i])]);
    return sum;
}

kernels::LossSum measure_loss(Loss loss, const Batch& batch, std::size_t outputs, const float* y, std::span<const float> class_weights,
                              float scale, float* gradient) {
    const float* weights = class_weights.empty() ? nullptr : class_weights.data();
    switch (loss) {
        case Loss::softmax_cross_entropy:
            return kernels::softmax_cross_entropy(batch.samples, outputs, y, batch.labels, weights, scale, gradient);
        case Loss::binary_cross_entropy:
            return kernels::binary_cross_entropy(batch.samples, y, batch.labels, weights, scale, gradient);
        case Loss::squared_error:
            break;
    }
    return kernels::squared_error(batch.samples, outputs, y, batch.targets, scale, gradient);
}

}  // namespace silosum

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

void measure_loss(const Stream& stream, Loss loss, const Batch& batch, std::size_t outputs, const float* y,
                  std::span<const float> class_weights, const float* scale, float* gradient, kernels::LossSum* sum) {
    const float* weights = class_weights.empty() ? nullptr : class_weights.data();
    stream.run([&](const auto& on) {
        switch (loss) {
            case Loss::softmax_cross_entropy:
                return kernels::softmax_cross_entropy(batch.samples, outputs, y, batch.labels, weights, scale, gradient, sum, on);
            case Loss::binary_cross_entropy:
                return kernels::binary_cross_entropy(batch.samples, y, batch.labels, weights, scale, gradient, sum, on);
            case Loss::squared_error:
                return kernels::squared_error(batch.samples, outputs, y, batch.targets, scale, gradient, sum, on);
        }
    });
}

}  // namespace silosum

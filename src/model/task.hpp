// What is learnt: the kind of task, how many outputs it needs, and the shape of one sample's features.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace silosum {

enum class Task { classification, binary, regression };

[[nodiscard]] std::string to_string(Task task);
/// Throws DataError for an unknown name.
[[nodiscard]] Task task_from_name(const std::string& name);

struct Problem {
    Task task = Task::classification;
    std::size_t classes = 0;                 // classification: number of classes; binary: 2; regression: 0
    std::vector<std::size_t> feature_shape;  // as in a shard: {13}, {28, 28}, {3, 32, 32} = (channels, height, width)

    /// Outputs of a model: one logit a class, one logit (binary) or one value (regression).
    [[nodiscard]] std::size_t outputs() const { return task == Task::classification ? classes : 1; }
    /// Values of one sample.
    [[nodiscard]] std::size_t features() const;

    friend bool operator==(const Problem&, const Problem&) = default;
};

/// "classification into 10 classes of 28x28 features"
[[nodiscard]] std::string to_string(const Problem& problem);

}  // namespace silosum

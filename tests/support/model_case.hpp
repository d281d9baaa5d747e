// A small model with data and parameters to test it on, all drawn from fixed streams.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "base/text.hpp"
#include "model/layer_list.hpp"
#include "model/sequential.hpp"

namespace silosum::test {

inline Problem classes_of(std::vector<std::size_t> shape, std::size_t classes) {
    return {.task = Task::classification, .classes = classes, .feature_shape = std::move(shape)};
}
inline Problem binary_of(std::vector<std::size_t> shape) {
    return {.task = Task::binary, .classes = 2, .feature_shape = std::move(shape)};
}
inline Problem regression_of(std::vector<std::size_t> shape) {
    return {.task = Task::regression, .classes = 0, .feature_shape = std::move(shape)};
}

inline std::vector<LayerSpec> layers_from(const std::string& text) {
    return parse_layers(split(text, ','));
}

/// Samples with features in [-1, 1), labels and targets.
struct Samples {
    std::vector<float> x;
    std::vector<std::int32_t> labels;
    std::vector<float> targets;
    Batch batch;

    Samples(const Problem& problem, std::size_t count, std::uint64_t seed = 5) {
        const Random random(seed, Purpose::split);
        for (std::size_t i = 0; i < count * problem.features(); ++i) x.push_back(static_cast<float>(2 * random.uniform(i) - 1));
        const Random answers(seed, Purpose::partition);
        for (std::size_t i = 0; i < count; ++i) {
            if (problem.classes > 0)
                labels.push_back(static_cast<std::int32_t>(answers.below(i, static_cast<std::uint32_t>(problem.classes))));
            targets.push_back(static_cast<float>(answers.normal(i)));
        }
        batch = {.samples = count, .x = x.data(), .labels = labels.empty() ? nullptr : labels.data(), .targets = targets.data()};
    }
    Samples(const Samples&) = delete;
    Samples& operator=(const Samples&) = delete;

    /// Part of the batch.
    [[nodiscard]] Batch part(std::size_t first, std::size_t count, const Problem& problem) const {
        return {.samples = count,
                .x = batch.x + first * problem.features(),
                .labels = batch.labels == nullptr ? nullptr : batch.labels + first,
                .targets = batch.targets + first};
    }
};

/// PyTorch's initial values, every one then moved a little, so that no bias is 0 and no norm weight 1.
inline std::vector<float> some_parameters(const Sequential& model, std::uint64_t seed = 3) {
    std::vector<float> flat(model.layout().size());
    model.initialise(seed, InitialValues::fan_in, flat);
    const Random random(seed + 1, Purpose::initial_model);
    for (std::size_t i = 0; i < flat.size(); ++i) flat[i] += static_cast<float>(0.1 * (random.uniform(i) - 0.5));
    return flat;
}

}  // namespace silosum::test

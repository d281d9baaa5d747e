// The section `model` of the configuration.
#pragma once

#include <string>
#include <vector>

#include "base/options.hpp"
#include "model/initial_values.hpp"
#include "model/layer_list.hpp"
#include "model/task.hpp"

namespace silosum {

struct ModelConfig {
    std::string name;
    std::vector<std::string> widths;
    std::string activation;
    double dropout = 0;
    std::vector<std::string> layers;
    std::string init;
    std::string loss;

    /// Declares the keys; the options then refer to this object.
    void add_to(Options& options);
    [[nodiscard]] InitialValues initial_values() const { return initial_values_from_name(init); }
};

/// The configured layers, checked to fit the problem together with the loss. Throws UsageError.
[[nodiscard]] std::vector<LayerSpec> layers_for(const ModelConfig& config, const Problem& problem);

}  // namespace silosum

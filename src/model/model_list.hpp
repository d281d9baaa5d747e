// Models by name: each is a list of layers.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "model/layer_list.hpp"

namespace silosum {

/// What the models with parameters take.
struct ModelShape {
    std::vector<std::size_t> widths = {};  // mlp
    std::string activation = "relu";       // mlp
    double dropout = 0;                    // mlp
    std::vector<std::string> layers = {};  // layers: one text each
};

struct ModelRow {
    std::string name;
    std::string help;
    std::vector<LayerSpec> (*layers)(const ModelShape& shape);
};

[[nodiscard]] const std::vector<ModelRow>& model_list();
[[nodiscard]] std::vector<std::string> model_names();
/// Layers of a named model. Throws UsageError for an unknown name or layers that cannot be read.
[[nodiscard]] std::vector<LayerSpec> model_layers(const std::string& name, const ModelShape& shape = {});

}  // namespace silosum

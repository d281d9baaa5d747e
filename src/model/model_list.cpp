#include "model/model_list.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"

namespace silosum {

namespace {

std::vector<LayerSpec> from_text(const std::string& text) {
    return parse_layers(split(text, ','));
}

std::vector<LayerSpec> one_dense(const ModelShape& /*shape*/) {
    return from_text("dense outputs");
}

std::vector<LayerSpec> mlp(const ModelShape& shape) {
    std::vector<std::string> layers;
    for (const std::size_t width : shape.widths) {
        layers.push_back(fmt::format("dense {}", width));
        layers.push_back(shape.activation);
        if (shape.dropout > 0) layers.push_back(fmt::format("dropout {}", shape.dropout));
    }
    layers.emplace_back("dense outputs");
    return parse_layers(layers);
}

}  // namespace

const std::vector<ModelRow>& model_list() {
    static const std::vector<ModelRow> rows{
        {"softmax", "softmax, logistic or linear regression: one dense layer", one_dense},
        {"linear", "the same as softmax", one_dense},
        {"mlp", "dense layers of model.widths", mlp},
        {"2nn", "two hidden layers of 200 (McMahan et al. 2017)",
         [](const ModelShape&) { return from_text("dense 200, relu, dense 200, relu, dense outputs"); }},
        {"cnn", "two 5x5 convolutions and a dense layer of 512 (McMahan et al. 2017)",
         [](const ModelShape&) {
             return from_text(
                 "conv 32 5 pad=2, relu, maxpool 2, conv 64 5 pad=2, relu, maxpool 2, flatten, dense 512, relu, dense outputs");
         }},
        {"lenet", "convolutions of 6 and 16 channels, dense layers of 120 and 84 (LeCun et al. 1998, with relu and max-pooling)",
         [](const ModelShape&) {
             return from_text(
                 "conv 6 5, relu, maxpool 2, conv 16 5, relu, maxpool 2, flatten, dense 120, relu, dense 84, relu, dense outputs");
         }},
        {"layers", "the layers of model.layers", [](const ModelShape& shape) { return parse_layers(shape.layers); }},
    };
    return rows;
}

std::vector<std::string> model_names() {
    std::vector<std::string> names;
    for (const auto& row : model_list()) names.push_back(row.name);
    return names;
}

std::vector<LayerSpec> model_layers(const std::string& name, const ModelShape& shape) {
    for (const auto& row : model_list()) {
        if (row.name == name) return row.layers(shape);
    }
    throw UsageError(unknown_name("model", name, model_names()));
}

}  // namespace silosum

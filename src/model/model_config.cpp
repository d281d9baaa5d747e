#include "model/model_config.hpp"

#include <charconv>

#include <fmt/format.h>

#include "base/error.hpp"
#include "model/loss.hpp"
#include "model/model_list.hpp"

namespace silosum {

namespace {

constexpr std::size_t most_units = std::size_t{1} << 24;

std::vector<std::size_t> parse_widths(const std::vector<std::string>& words) {
    std::vector<std::size_t> widths;
    for (const auto& word : words) {
        std::size_t width = 0;
        const auto* end = word.data() + word.size();
        const auto result = std::from_chars(word.data(), end, width);
        require(result.ec == std::errc() && result.ptr == end && width >= 1 && width <= most_units,
                "\"{}\" must be a whole number in [1, {}]", word, most_units);
        widths.push_back(width);
    }
    return widths;
}

/// "" or what the function throws.
template <class Function>
std::string problem_of(const Function& function) {
    try {
        function();
    } catch (const UsageError& error) {
        return error.what();
    }
    return "";
}

}  // namespace

void ModelConfig::add_to(Options& options) {
    const auto only_for = [this](const std::string& model) { return [this, model] { return name == model; }; };
    const auto named = [this] { return "model.name = " + name; };
    options.add("model.name", &name, "softmax", "Model: a named one, or layers for the list in model.layers.").one_of(model_names());
    options.add("model.widths", &widths, {"200", "200"}, "Units of each hidden layer of the mlp.")
        .used_when(only_for("mlp"), named)
        .check([this] { return problem_of([this] { (void)parse_widths(widths); }); });
    options.add("model.activation", &activation, "relu", "Activation of the mlp.")
        .one_of({"relu", "tanh", "gelu", "sigmoid"})
        .used_when(only_for("mlp"), named);
    options.add("model.dropout", &dropout, 0, from_up_to(0, 1), "Dropout rate behind each hidden layer of the mlp.")
        .used_when(only_for("mlp"), named);
    options
        .add("model.layers", &layers, {}, "Layers in order, for example: conv 32 5 pad=2, relu, maxpool 2, dense 512, relu, dense outputs.")
        .used_when(only_for("layers"), named)
        .check([this] {
            if (name != "layers") return std::string();
            if (layers.empty()) return std::string("must list at least one layer, for example \"dense outputs\"");
            return problem_of([this] { (void)parse_layers(layers); });
        });
    options
        .add("model.init", &init, "fan_in",
             "Initial weights: fan_in (uniform, +-1/sqrt(inputs), as PyTorch), glorot (uniform), he (normal) or zero.")
        .one_of(initial_values_names());
    options.add("model.loss", &loss, "auto", "Loss; auto takes the usual one of the task.").one_of(loss_names());
}

std::vector<LayerSpec> layers_for(const ModelConfig& config, const Problem& problem) {
    (void)loss_for(problem, config.loss);
    auto specs = model_layers(
        config.name,
        {.widths = parse_widths(config.widths), .activation = config.activation, .dropout = config.dropout, .layers = config.layers});
    try {
        (void)build_layers(specs, problem);
    } catch (const UsageError& error) {
        throw UsageError(fmt::format("model.name = {}: {}", config.name, error.what()));
    }
    return specs;
}

}  // namespace silosum

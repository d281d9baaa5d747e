#include "model/layer_list.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "model/layers/activations.hpp"
#include "model/layers/conv2d.hpp"
#include "model/layers/dense.hpp"
#include "model/layers/dropout.hpp"
#include "model/layers/flatten.hpp"
#include "model/layers/norm.hpp"
#include "model/layers/pool.hpp"

namespace silosum {

namespace {

void require_image(const Shape& in) {
    require(in.is_image, "it needs an image, its input is {}", in.text());
}

void require_fit(const Shape& in, std::size_t window, std::size_t padding) {
    require(window <= in.height + 2 * padding && window <= in.width + 2 * padding, "a {0}x{0} window does not fit into a {1}{2}", window,
            in.text(), padding > 0 ? fmt::format(" with a border of {}", padding) : "");
}

PoolSettings pool_settings(const LayerSpec& spec, const Shape& in) {
    require_image(in);
    const std::size_t window = spec.count("window");
    const PoolSettings settings{
        .window = window, .stride = spec.count("stride") == 0 ? window : spec.count("stride"), .padding = spec.count("pad")};
    require(settings.padding <= window / 2, "pad={} is more than half of the window of {}", settings.padding, window);
    require_fit(in, window, settings.padding);
    return settings;
}

std::unique_ptr<Layer> make_conv(const LayerSpec& spec, const Shape& in) {
    require_image(in);
    const Conv2d::Settings settings{
        .channels = spec.count("channels"), .kernel = spec.count("kernel"), .stride = spec.count("stride"), .padding = spec.count("pad")};
    require(settings.padding < settings.kernel, "pad={} must be less than the kernel of {}", settings.padding, settings.kernel);
    require_fit(in, settings.kernel, settings.padding);
    return std::make_unique<Conv2d>(in, settings);
}

std::unique_ptr<Layer> make_group_norm(const LayerSpec& spec, const Shape& in) {
    const std::size_t groups = spec.count("groups");
    require(in.is_image || !in.is_reordered(), "it must stand before the image is flattened");
    require(in.channels % groups == 0, "{} channels cannot be cut into {} equal groups", in.channels, groups);
    return std::make_unique<Norm>(in, Norm::group_norm(in, groups));
}

template <OutputActivation::Kind kind>
std::unique_ptr<Layer> make_activation(const LayerSpec& /*spec*/, const Shape& in) {
    return std::make_unique<OutputActivation>(in, kind);
}

constexpr double most_channels = 1 << 20;

}  // namespace

const std::vector<LayerRow>& layer_list() {
    static const std::vector<LayerArgument> pool_arguments{{.name = "window", .required = true, .low = 1, .high = 15},
                                                           {.name = "stride", .initial = 0, .low = 1, .high = 64},
                                                           {.name = "pad", .initial = 0, .low = 0, .high = 7}};
    static const std::vector<LayerRow> rows{
        {"dense",
         "dense UNITS|outputs",
         "fully connected; \"outputs\" stands for as many as the task needs",
         {{.name = "units", .required = true, .low = 1, .high = 1 << 24, .may_be_outputs = true}},
         [](const LayerSpec& spec, const Shape& in) -> std::unique_ptr<Layer> { return std::make_unique<Dense>(in, spec.count("units")); }},
        {"conv",
         "conv CHANNELS KERNEL [stride=1] [pad=0]",
         "convolution with a square kernel",
         {{.name = "channels", .required = true, .low = 1, .high = most_channels},
          {.name = "kernel", .required = true, .low = 1, .high = 255},
          {.name = "stride", .initial = 1, .low = 1, .high = 64},
          {.name = "pad", .initial = 0, .low = 0, .high = 254}},
         make_conv},
        {"maxpool", "maxpool WINDOW [stride=WINDOW] [pad=0]", "largest value of each window", pool_arguments,
         [](const LayerSpec& spec, const Shape& in) -> std::unique_ptr<Layer> {
             return std::make_unique<MaxPool>(in, pool_settings(spec, in));
         }},
        {"avgpool", "avgpool WINDOW [stride=WINDOW] [pad=0]", "mean of each window", pool_arguments,
         [](const LayerSpec& spec, const Shape& in) -> std::unique_ptr<Layer> {
             return std::make_unique<AveragePool>(in, pool_settings(spec, in));
         }},
        {"relu", "relu", "max(x, 0)", {}, make_activation<OutputActivation::Kind::relu>},
        {"tanh", "tanh", "hyperbolic tangent", {}, make_activation<OutputActivation::Kind::tanh>},
        {"sigmoid", "sigmoid", "1 / (1 + exp(-x))", {}, make_activation<OutputActivation::Kind::sigmoid>},
        {"gelu",
         "gelu",
         "Gaussian error linear unit, tanh form",
         {},
         [](const LayerSpec&, const Shape& in) -> std::unique_ptr<Layer> { return std::make_unique<Gelu>(in); }},
        {"dropout",
         "dropout RATE",
         "sets a share of the values to 0 in training and scales the others up",
         {{.name = "rate", .required = true, .low = 0, .high = 1, .whole = false, .high_is_open = true}},
         [](const LayerSpec& spec, const Shape& in) -> std::unique_ptr<Layer> {
             require(static_cast<float>(spec.value("rate")) < 1, "a dropout rate of {} is 1 in single precision", spec.value("rate"));
             return std::make_unique<Dropout>(in, spec.value("rate"));
         }},
        {"flatten",
         "flatten",
         "an image becomes a vector; implied before a dense layer",
         {},
         [](const LayerSpec&, const Shape& in) -> std::unique_ptr<Layer> { return std::make_unique<Flatten>(in); }},
        {"layernorm",
         "layernorm",
         "normalises all values of a sample",
         {},
         [](const LayerSpec&, const Shape& in) -> std::unique_ptr<Layer> { return std::make_unique<Norm>(in, Norm::layer_norm(in)); }},
        {"groupnorm",
         "groupnorm GROUPS",
         "normalises groups of channels of a sample",
         {{.name = "groups", .required = true, .low = 1, .high = most_channels}},
         make_group_norm},
    };
    return rows;
}

namespace {

const LayerRow& row_of(const std::string& name) {
    std::vector<std::string> names;
    for (const auto& row : layer_list()) {
        if (row.name == name) return row;
        names.push_back(row.name);
    }
    throw UsageError(unknown_name("layer", name, names));
}

double parse_value(const LayerArgument& argument, const std::string& word) {
    if (argument.may_be_outputs && word == "outputs") return 0;
    double value = 0;
    const auto* end = word.data() + word.size();
    const auto result = std::from_chars(word.data(), end, value);
    const bool is_number = result.ec == std::errc() && result.ptr == end && std::isfinite(value);
    require(is_number && (!argument.whole || value == std::floor(value)), "{} = \"{}\": must be a {}number{}", argument.name, word,
            argument.whole ? "whole " : "", argument.may_be_outputs ? " or \"outputs\"" : "");
    require(value >= argument.low && (argument.high_is_open ? value < argument.high : value <= argument.high),
            "{} = {}: must be in [{}, {}{}", argument.name, word, argument.low, argument.high, argument.high_is_open ? ")" : "]");
    return value;
}

std::vector<std::string> words_of(const std::string& text) {
    std::vector<std::string> words;
    for (const auto& word : split(text, ' ')) {
        if (!trim(word).empty()) words.push_back(trim(word));
    }
    return words;
}

/// Runs the function; an error gets the layer's number and text in front.
template <class Function>
auto naming_layer(std::size_t number, const std::string& text, const Function& function) {
    try {
        return function();
    } catch (const UsageError& error) {
        throw UsageError(fmt::format("layer {}, \"{}\": {}", number, text, error.what()));
    }
}

}  // namespace

LayerSpec parse_layer(const std::string& text) {
    const auto words = words_of(text);
    require(!words.empty(), "a layer is missing; write for example \"dense 64, relu, dense outputs\"");
    const LayerRow& row = row_of(words[0]);
    LayerSpec spec{.kind = row.name, .values = {}};
    std::size_t place = 0;
    for (std::size_t i = 1; i < words.size(); ++i) {
        const auto equals = words[i].find('=');
        const bool is_named = equals != std::string::npos;
        const std::string name = words[i].substr(0, equals);
        const auto argument = is_named
                                  ? std::find_if(row.arguments.begin(), row.arguments.end(), [&](const auto& a) { return a.name == name; })
                                  : row.arguments.begin() + static_cast<std::ptrdiff_t>(std::min(place++, row.arguments.size()));
        require(argument != row.arguments.end(), "it takes no \"{}\"; usage: {}", words[i], row.usage);
        require(!spec.values.contains(argument->name), "{} is given twice; usage: {}", argument->name, row.usage);
        spec.values[argument->name] = parse_value(*argument, is_named ? words[i].substr(equals + 1) : words[i]);
    }
    for (const auto& argument : row.arguments) {
        require(!argument.required || spec.values.contains(argument.name), "{} is missing; usage: {}", argument.name, row.usage);
        spec.values.emplace(argument.name, argument.initial);
    }
    return spec;
}

std::vector<LayerSpec> parse_layers(std::span<const std::string> texts) {
    std::vector<LayerSpec> specs;
    for (const auto& text : texts) specs.push_back(naming_layer(specs.size() + 1, trim(text), [&] { return parse_layer(text); }));
    return specs;
}

std::string to_string(const LayerSpec& spec) {
    std::string text = spec.kind;
    for (const auto& argument : row_of(spec.kind).arguments) {
        const double value = spec.value(argument.name);
        if (argument.may_be_outputs && value == 0) {
            text += " outputs";
        } else if (argument.required) {
            text += fmt::format(" {}", value);
        } else if (value != argument.initial) {
            text += fmt::format(" {}={}", argument.name, value);
        }
    }
    return text;
}

std::string to_string(std::span<const LayerSpec> specs) {
    std::vector<std::string> texts;
    for (const auto& spec : specs) texts.push_back(to_string(spec));
    return join(texts, ", ");
}

std::vector<std::unique_ptr<Layer>> build_layers(std::span<const LayerSpec> specs, const Problem& problem) {
    require(!specs.empty(), "the model has no layers");
    std::vector<std::unique_ptr<Layer>> layers;
    Shape shape = shape_of_features(problem.feature_shape);
    require<DataError>(shape.size() > 0 && problem.outputs() > 0, "{}: a model needs at least one feature and one output",
                       to_string(problem));
    const auto append = [&](std::unique_ptr<Layer> layer) {
        shape = layer->out();
        layers.push_back(std::move(layer));
    };
    bool has_parameters = false;
    for (std::size_t i = 0; i < specs.size(); ++i) {
        LayerSpec spec = specs[i];
        if (spec.kind == "dense" && shape.is_image) append(std::make_unique<Flatten>(shape));
        if (spec.kind == "dense" && spec.count("units") == 0) spec.values["units"] = static_cast<double>(problem.outputs());
        append(naming_layer(i + 1, to_string(specs[i]), [&] { return row_of(spec.kind).make(spec, shape); }));
        has_parameters = has_parameters || layers.back()->packed_size() > 0;
    }
    require(!shape.is_image && shape.size() == problem.outputs(),
            "the last layer, \"{}\", gives {}, but {} needs {}; end the layers with \"dense outputs\"", to_string(specs.back()),
            shape.text(), to_string(problem), vector_of(problem.outputs()).text());
    require(!shape.is_reordered(),
            "the layers end with the pixels of an image as outputs, whose order would be another than PyTorch's; end "
            "them with \"dense outputs\"");
    require(has_parameters, "the model has nothing to learn: none of its layers has parameters");
    return layers;
}

}  // namespace silosum

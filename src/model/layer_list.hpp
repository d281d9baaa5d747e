// The kinds of layers and their text form, "conv 32 5 pad=2": the one place to add a layer to.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/layer.hpp"
#include "model/task.hpp"

namespace silosum {

/// One layer of a list: its kind and the values of all its arguments.
struct LayerSpec {
    std::string kind;
    std::map<std::string, double> values;

    [[nodiscard]] double value(const std::string& argument) const { return values.at(argument); }
    [[nodiscard]] std::size_t count(const std::string& argument) const { return static_cast<std::size_t>(values.at(argument)); }
    friend bool operator==(const LayerSpec&, const LayerSpec&) = default;
};

struct LayerArgument {
    std::string name;
    bool required = false;  // given by place, in order; the others by place or as name=value
    double initial = 0;     // where not given
    double low = 0;
    double high = 0;
    bool whole = true;            // only whole numbers
    bool high_is_open = false;    // high itself is too large
    bool may_be_outputs = false;  // the word "outputs" stands for what the task needs, kept as 0
};

struct LayerRow {
    std::string name;
    std::string usage;  // "conv CHANNELS KERNEL [stride=1] [pad=0]"
    std::string help;
    std::vector<LayerArgument> arguments;
    /// Makes the layer for an input. Throws UsageError with the reason where the input's shape does not fit.
    std::unique_ptr<Layer> (*make)(const LayerSpec& spec, const Shape& in);
};

[[nodiscard]] const std::vector<LayerRow>& layer_list();

/// "conv 32 5 pad=2" -> spec. Throws UsageError that names what is wrong.
[[nodiscard]] LayerSpec parse_layer(const std::string& text);
/// One text a layer. Errors name the layer by its number, counted from 1.
[[nodiscard]] std::vector<LayerSpec> parse_layers(std::span<const std::string> texts);
/// The text that parses to the same spec.
[[nodiscard]] std::string to_string(const LayerSpec& spec);
/// All of them with commas between, as in the configuration.
[[nodiscard]] std::string to_string(std::span<const LayerSpec> specs);

/// Layers for a problem, with a flatten put before a dense layer on an image. Throws UsageError that names the layer, its number in
/// `specs` and the shapes where something does not fit.
[[nodiscard]] std::vector<std::unique_ptr<Layer>> build_layers(std::span<const LayerSpec> specs, const Problem& problem);

}  // namespace silosum

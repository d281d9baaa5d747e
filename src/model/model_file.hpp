// model.h5: a trained model with what is needed to use it again - network, task, feature standardisation - and a checksum over all of it.
// Also the way to safetensors and, for a warm start, back from both. The formats are in docs/formats.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "model/layer_list.hpp"
#include "model/parameters.hpp"
#include "model/standardisation.hpp"
#include "model/task.hpp"

namespace silosum {

inline constexpr std::int64_t model_version = 1;

/// All of a model file but the parameters.
struct ModelDescription {
    Problem problem;
    std::string layers;  // layers_text of the network; with the problem it makes the network again
    std::string loss;
    std::uint64_t round = 0;  // rounds trained
    Standardisation standardisation;
    std::vector<std::string> class_names;    // empty, or one a class
    std::vector<std::string> feature_names;  // empty, or one a feature
    std::vector<float> class_weights;        // in the loss: empty, or one a class

    friend bool operator==(const ModelDescription&, const ModelDescription&) = default;
};

/// "dense 64, relu, dense outputs": one text for a list of layers, and back.
[[nodiscard]] std::string layers_text(std::span<const LayerSpec> layers);
[[nodiscard]] std::vector<LayerSpec> layers_from_text(const std::string& text);

struct Model {
    ModelDescription description;
    Parameters parameters;
    std::string sha256;  // of the parameters
};

/// Writes the file, whole or not at all. RuntimeError where that fails.
void save_model(const std::filesystem::path& path, const ModelDescription& description, const Parameters& parameters);

/// Reads and checks a model file. DataError for a file that is missing, cut, changed, of a newer version or of another format.
[[nodiscard]] Model load_model(const std::filesystem::path& path);

/// Writes the parameters under their PyTorch names, and the description as __metadata__ strings.
void export_safetensors(const std::filesystem::path& path, const ModelDescription& description, const Parameters& parameters);

/// Parameters to start from, from a model file (.h5) or a .safetensors file with the same tensors in any order.
/// DataError names the first tensors that differ, and any tensor with a value that is not finite. A model file must also have the same
/// kinds of layers, and the same names of classes and features where both name them.
[[nodiscard]] Parameters load_parameters(const std::filesystem::path& path, const Layout& layout, const ModelDescription& description);

}  // namespace silosum

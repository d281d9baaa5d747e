#include "model/model_file.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/version.hpp"
#include "io/atomic_file.hpp"
#include "io/checksum_line.hpp"
#include "io/hdf5.hpp"
#include "io/safetensors.hpp"
#include "model/shape.hpp"

namespace silosum {

namespace {

constexpr const char* format_name = "silosum-model";
const std::vector<std::string> kinds = {"none", "federated", "silo"};

/// The first few differences in a message, more say no more.
constexpr std::size_t differences_shown = 5;

/// Values in the order of memory (channels last) to the order of files (as PyTorch), and back.
std::vector<double> to_file_order(const std::vector<double>& values, const Problem& problem) {
    const auto order = shape_of_features(problem.feature_shape).flat_order();
    if (order.empty()) return values;
    std::vector<double> in_file(values.size());
    for (std::size_t k = 0; k < order.size(); ++k) in_file[order[k]] = values[k];
    return in_file;
}

std::vector<double> from_file_order(const std::vector<double>& values, const Problem& problem) {
    const auto order = shape_of_features(problem.feature_shape).flat_order();
    if (order.empty()) return values;
    std::vector<double> in_memory(values.size());
    for (std::size_t k = 0; k < order.size(); ++k) in_memory[k] = values[order[k]];
    return in_memory;
}

void write_contents(const std::filesystem::path& path, const ModelDescription& description, const Parameters& parameters) {
    const Problem& problem = description.problem;
    hdf5::File file = hdf5::create_file(path);
    file.set_attribute("format", format_name);
    file.set_attribute("version", model_version);
    file.set_attribute("silosum_version", version);
    file.set_attribute("task", to_string(problem.task));
    file.set_attribute("classes", static_cast<std::int64_t>(problem.classes));
    file.set_attribute("feature_shape", std::vector<std::int64_t>(problem.feature_shape.begin(), problem.feature_shape.end()));
    file.set_attribute("layers", description.layers);
    file.set_attribute("loss", description.loss);
    file.set_attribute("round", static_cast<std::int64_t>(description.round));
    file.set_attribute("standardise", description.standardisation.kind);
    file.set_attribute("model_sha256", parameters.sha256());
    if (!description.class_names.empty()) file.write_strings("class_names", description.class_names);
    if (!description.feature_names.empty()) file.write_strings("feature_names", description.feature_names);
    if (!description.class_weights.empty())
        file.write<float>("class_weights", {description.class_weights.size()}, std::span(description.class_weights));
    if (!description.standardisation.mean.empty()) {
        const auto mean = to_file_order(description.standardisation.mean, problem);
        const auto deviation = to_file_order(description.standardisation.deviation, problem);
        hdf5::Group group = file.create_group("standardisation");
        group.write<double>("mean", problem.feature_shape, mean);
        group.write<double>("deviation", problem.feature_shape, deviation);
    }
    std::vector<std::string> names;
    {
        hdf5::Group tensors = file.create_group("tensors");
        for (const Tensor& tensor : parameters.layout.tensors) {
            tensors.write<float>(tensor.name, tensor.shape, parameters.values.span().subspan(tensor.offset, tensor.size()));
            names.push_back(tensor.name);
        }
    }
    file.write_strings("tensor_names", names);
    file.close();
}

void check_format(const hdf5::File& file) {
    const std::string path = file.path().string();
    require<DataError>(file.has_attribute("format"), "{} is not a model file: it has no attribute \"format\"", path);
    const std::string format = file.string_attribute("format");
    require<DataError>(format == format_name, "{} is not a model file: its format is \"{}\", \"{}\" expected", path, format, format_name);
    const std::int64_t found = file.integer_attribute("version");
    require<DataError>(found <= model_version, "{}: model version {} is newer than {}, the newest that silosum {} reads; update silosum",
                       path, found, model_version, version);
    require<DataError>(found >= 1, "{}: model version {} is unknown", path, found);
}

Problem read_problem(const hdf5::File& file) {
    const std::string path = file.path().string();
    Problem problem;
    problem.task = task_from_name(file.string_attribute("task"));
    const std::int64_t classes = file.integer_attribute("classes");
    require<DataError>(classes >= 0, "{}: {} classes", path, classes);
    problem.classes = static_cast<std::size_t>(classes);
    for (const std::int64_t extent : file.integer_attributes("feature_shape")) {
        require<DataError>(extent > 0, "{}: feature_shape holds {}", path, extent);
        problem.feature_shape.push_back(static_cast<std::size_t>(extent));
    }
    return problem;
}

std::vector<double> read_per_feature(const hdf5::Group& group, const std::string& name, const Problem& problem) {
    const hdf5::Dataset dataset = group.dataset(name);
    require<DataError>(dataset.shape() == problem.feature_shape, "{} has shape ({}), features have ({})", dataset.where(),
                       fmt::join(dataset.shape(), ", "), fmt::join(problem.feature_shape, ", "));
    std::vector<double> values(dataset.size());
    dataset.read(std::span(values));
    return from_file_order(values, problem);
}

Standardisation read_standardisation(const hdf5::File& file, const Problem& problem) {
    Standardisation standardisation;
    standardisation.kind = file.string_attribute("standardise");
    const bool known = std::find(kinds.begin(), kinds.end(), standardisation.kind) != kinds.end();
    require<DataError>(known, "{}: {}", file.path().string(), known ? "" : unknown_name("standardisation", standardisation.kind, kinds));
    if (standardisation.kind != "federated") return standardisation;
    const hdf5::Group group = file.group("standardisation");
    standardisation.mean = read_per_feature(group, "mean", problem);
    standardisation.deviation = read_per_feature(group, "deviation", problem);
    return standardisation;
}

Parameters read_parameters(const hdf5::File& file) {
    const hdf5::Group group = file.group("tensors");
    Layout layout;
    for (const std::string& name : file.dataset("tensor_names").read_strings()) layout.add(name, group.dataset(name).shape());
    Parameters parameters(std::move(layout));
    for (const Tensor& tensor : parameters.layout.tensors) {
        group.dataset(tensor.name).read(parameters.values.span().subspan(tensor.offset, tensor.size()));
    }
    return parameters;
}

safetensors::Metadata metadata_of(const ModelDescription& description, const Parameters& parameters) {
    const auto list = [](const auto& values) {
        return nlohmann::json(values).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    };
    const Problem& problem = description.problem;
    safetensors::Metadata metadata{{"producer", fmt::format("silosum {}", version)},
                                   {"task", to_string(problem.task)},
                                   {"classes", std::to_string(problem.classes)},
                                   {"feature_shape", list(problem.feature_shape)},
                                   {"layers", description.layers},
                                   {"loss", description.loss},
                                   {"round", std::to_string(description.round)},
                                   {"standardise", description.standardisation.kind},
                                   {"model_sha256", parameters.sha256()}};
    if (!description.class_names.empty()) metadata["class_names"] = list(description.class_names);
    if (!description.standardisation.mean.empty()) {
        metadata["standardise_mean"] = list(to_file_order(description.standardisation.mean, problem));
        metadata["standardise_deviation"] = list(to_file_order(description.standardisation.deviation, problem));
    }
    return metadata;
}

/// A tensor that a file offers for a warm start.
struct Offer {
    std::string name;
    std::vector<std::size_t> shape;
    std::span<const float> values;
};

std::string shape_text(const std::vector<std::size_t>& shape) {
    return fmt::format("({})", fmt::join(shape, ", "));
}

std::vector<std::string> differences(const Layout& layout, std::span<const Offer> offers) {
    std::vector<std::string> found;
    std::set<std::string> wanted;
    for (const Tensor& tensor : layout.tensors) {
        wanted.insert(tensor.name);
        const auto offer = std::find_if(offers.begin(), offers.end(), [&](const Offer& o) { return o.name == tensor.name; });
        if (offer == offers.end()) {
            found.push_back(fmt::format("{}: {} here, missing there", tensor.name, shape_text(tensor.shape)));
        } else if (offer->shape != tensor.shape) {
            found.push_back(fmt::format("{}: {} here, {} there", tensor.name, shape_text(tensor.shape), shape_text(offer->shape)));
        }
    }
    for (const Offer& offer : offers) {
        if (!wanted.contains(offer.name)) found.push_back(fmt::format("{}: missing here, {} there", offer.name, shape_text(offer.shape)));
    }
    return found;
}

// Kinds of layers without their numbers: another rate of dropout is the same model.
std::vector<std::string> kinds_of(const std::string& layers) {
    std::vector<std::string> found;
    for (const LayerSpec& layer : layers_from_text(layers)) found.push_back(layer.kind);
    return found;
}

// Tensors of the same shape may stand for other things.
void check_same_use(const std::filesystem::path& path, const ModelDescription& model, const ModelDescription& here) {
    require<DataError>(here.layers.empty() || model.problem == here.problem, "{} is of a model for {}, not for {}", path.string(),
                       to_string(model.problem), to_string(here.problem));
    require<DataError>(here.layers.empty() || kinds_of(model.layers) == kinds_of(here.layers),
                       "{} holds another model than the one configured here: its layers are {}, not {}", path.string(), model.layers,
                       here.layers);
    const auto check_names = [&](const char* what, const std::vector<std::string>& there, const std::vector<std::string>& wanted) {
        require<DataError>(there.empty() || wanted.empty() || there == wanted, "{} is of a model with other {}: {}; not {}", path.string(),
                           what, join(there, ", "), join(wanted, ", "));
    };
    check_names("classes", model.class_names, here.class_names);
    check_names("features", model.feature_names, here.feature_names);
}

Parameters take_parameters(const std::filesystem::path& path, const Layout& layout, std::span<const Offer> offers) {
    std::vector<std::string> found = differences(layout, offers);
    const std::size_t more = found.size() - std::min(found.size(), differences_shown);
    found.resize(found.size() - more);
    const std::string rest = more == 0 ? "" : fmt::format("\n  and {} more", more);
    require<DataError>(found.empty(), "{} holds another model than the one configured here:\n  {}{}", path.string(), join(found, "\n  "),
                       rest);
    Parameters parameters(layout);
    for (const Tensor& tensor : layout.tensors) {
        const auto offer = std::find_if(offers.begin(), offers.end(), [&](const Offer& o) { return o.name == tensor.name; });
        const bool finite = std::all_of(offer->values.begin(), offer->values.end(), [](float value) { return std::isfinite(value); });
        require<DataError>(finite, "{}: tensor \"{}\" holds values that are not finite", path.string(), tensor.name);
        std::copy(offer->values.begin(), offer->values.end(), parameters.values.begin() + tensor.offset);
    }
    return parameters;
}

}  // namespace

std::string layers_text(std::span<const LayerSpec> layers) {
    std::vector<std::string> texts;
    for (const LayerSpec& layer : layers) texts.push_back(to_string(layer));
    return join(texts, ", ");
}

std::vector<LayerSpec> layers_from_text(const std::string& text) {
    return parse_layers(split(text, ','));
}

void save_model(const std::filesystem::path& path, const ModelDescription& description, const Parameters& parameters) {
    AtomicFile file(path);
    write_contents(file.temporary(), description, parameters);
    append_checksum_line(file.temporary());
    file.commit();
}

Model load_model(const std::filesystem::path& path) {
    const Checksum checksum = verify_checksum_line(path);
    require<DataError>(checksum != Checksum::wrong, "{} was changed or damaged: its bytes do not match the checksum in its last line",
                       path.string());
    const hdf5::File file = hdf5::open_file(path);
    check_format(file);
    require<DataError>(checksum == Checksum::right, "{} was cut or changed: its last line with the checksum is missing", path.string());
    Model model;
    ModelDescription& description = model.description;
    description.problem = read_problem(file);
    description.layers = file.string_attribute("layers");
    description.loss = file.string_attribute("loss");
    description.round = static_cast<std::uint64_t>(file.integer_attribute("round"));
    description.standardisation = read_standardisation(file, description.problem);
    if (file.has_dataset("class_names")) description.class_names = file.dataset("class_names").read_strings();
    if (file.has_dataset("feature_names")) description.feature_names = file.dataset("feature_names").read_strings();
    if (file.has_dataset("class_weights")) {
        const auto dataset = file.dataset("class_weights");
        description.class_weights.resize(dataset.size());
        dataset.read(std::span(description.class_weights));
    }
    model.parameters = read_parameters(file);
    model.sha256 = model.parameters.sha256();
    const std::string recorded = file.string_attribute("model_sha256");
    require<DataError>(model.sha256 == recorded, "{}: the parameters have SHA-256 {}, the file records {}", path.string(), model.sha256,
                       recorded);
    return model;
}

void export_safetensors(const std::filesystem::path& path, const ModelDescription& description, const Parameters& parameters) {
    std::vector<safetensors::View> views;
    for (const Tensor& tensor : parameters.layout.tensors) {
        views.push_back({tensor.name, tensor.shape, parameters.values.span().subspan(tensor.offset, tensor.size())});
    }
    safetensors::write(path, views, metadata_of(description, parameters));
}

Parameters load_parameters(const std::filesystem::path& path, const Layout& layout, const ModelDescription& description) {
    std::vector<Offer> offers;
    if (path.extension() == ".safetensors") {
        const safetensors::File file = safetensors::read(path);
        for (const auto& tensor : file.tensors) offers.push_back({tensor.name, tensor.shape, tensor.values});
        return take_parameters(path, layout, offers);
    }
    require<DataError>(path.extension() == ".h5", "{}: a model to start from is a .h5 or .safetensors file", path.string());
    const Model model = load_model(path);
    for (const Tensor& tensor : model.parameters.layout.tensors) {
        offers.push_back({tensor.name, tensor.shape, model.parameters.values.span().subspan(tensor.offset, tensor.size())});
    }
    Parameters parameters = take_parameters(path, layout, offers);
    check_same_use(path, model.description, description);
    return parameters;
}

}  // namespace silosum

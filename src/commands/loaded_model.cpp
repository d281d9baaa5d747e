#include "commands/loaded_model.hpp"

#include "base/error.hpp"
#include "base/text.hpp"

namespace silosum {

LoadedModel::LoadedModel(const std::filesystem::path& file, std::size_t thread_count)
    : path(file),
      model(load_model(file)),
      threads(thread_count),
      network(layers_from_text(model.description.layers), model.description.problem, model.description.loss, threads, logits_block) {
    require<DataError>(network.layout() == model.parameters.layout, "{}: its tensors are not those of its layers \"{}\"", file.string(),
                       model.description.layers);
    network.load(model.parameters.values.span());
    network.set_class_weights(model.description.class_weights);
}

Shard read_shard_for(const LoadedModel& model, const std::filesystem::path& path) {
    Shard shard = read_test_shard(path);
    const ModelDescription& description = model.model.description;
    require<DataError>(shard.problem == description.problem, "{} is {}; the model {} is {}", path.string(), to_string(shard.problem),
                       model.path.string(), to_string(description.problem));
    const bool names_agree = shard.class_names.empty() || description.class_names.empty() || shard.class_names == description.class_names;
    require<DataError>(names_agree, "{} has the classes {}; the model {} has {}", path.string(), join(shard.class_names, ", "),
                       model.path.string(), join(description.class_names, ", "));
    const bool features_agree =
        shard.feature_names.empty() || description.feature_names.empty() || shard.feature_names == description.feature_names;
    require<DataError>(features_agree, "{} has the features {}; the model {} has {}", path.string(), join(shard.feature_names, ", "),
                       model.path.string(), join(description.feature_names, ", "));
    return shard;
}

const Split& split_of(const Shard& shard, const std::string& name) {
    const std::vector<std::string> names = {"train", "validation", "test"};
    const Split* split = name == names[0] ? &shard.train : name == names[1] ? &shard.validation : name == names[2] ? &shard.test : nullptr;
    if (split == nullptr) throw UsageError(unknown_name("split", name, names));
    require<DataError>(split->rows > 0, "{} has no {} rows (train {}, validation {}, test {}); choose another with --split",
                       shard.path.string(), name, shard.train.rows, shard.validation.rows, shard.test.rows);
    return *split;
}

}  // namespace silosum

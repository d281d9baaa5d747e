// A model file ready to compute, and shards that fit it: what evaluate and predict share.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "base/threads.hpp"
#include "data/shard.hpp"
#include "model/model_file.hpp"
#include "model/sequential.hpp"

namespace silosum {

struct LoadedModel {
    std::filesystem::path path;
    Model model;
    Threads threads;
    Sequential network;

    LoadedModel(const std::filesystem::path& path, std::size_t thread_count);
};

/// A shard of a silo or a common test shard. DataError where its task, shapes or class names are not the model's.
[[nodiscard]] Shard read_shard_for(const LoadedModel& model, const std::filesystem::path& path);

/// The rows to use: train, validation or test. UsageError for another name, DataError where the shard has no such rows.
[[nodiscard]] const Split& split_of(const Shard& shard, const std::string& name);

}  // namespace silosum

// Section `data` of a configuration: which shards, and what happens to their features.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <cstdint>

#include "base/options.hpp"

namespace silosum {

struct DataConfig {
    std::vector<std::string> shards;
    std::uint64_t silos = 0;
    std::string standardise;
    std::vector<std::string> class_weights;  // {"none"}, {"balanced"}, or one positive number a class
    bool drop_last = false;
    std::string stage;  // empty: shards are read where they lie
    bool is_public = false;

    void add_to(Options& options);
};

/// Files, globs and folders (all *.h5 in it but test.h5) as a list of files: each entry's files sorted by name, entries in the order given.
/// DataError for an entry without files and for a file named twice; it begins with `what`. A file that is named need not exist.
[[nodiscard]] std::vector<std::filesystem::path> shard_files(const std::vector<std::string>& entries,
                                                             const std::string& what = "data.shards");

}  // namespace silosum

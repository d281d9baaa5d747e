// A silo's data: one HDF5 file, read whole into memory and checked once. The format is in docs/formats.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "model/task.hpp"

namespace silosum {

/// Version of the shard format that is written and the newest that is read.
inline constexpr std::int64_t shard_version = 1;

/// The rows of train, validation or test. One of bytes and floats holds the values, row-major, images channels-last (H, W, C).
struct Split {
    std::size_t rows = 0;
    std::size_t features = 0;
    std::vector<std::uint8_t> bytes;
    std::vector<float> floats;
    std::vector<std::int32_t> labels;  // classification and binary (0 or 1)
    std::vector<float> targets;        // regression

    [[nodiscard]] bool is_bytes() const { return !bytes.empty(); }
};

/// x * scale + offset, per feature or with one pair for all.
struct Affine {
    bool per_feature = false;
    std::vector<float> scale{1.0F};
    std::vector<float> offset{0.0F};
};

/// A silo's rows and what they are. Value of a byte b: b * pixel_scale + pixel_offset; floats are the values themselves.
struct Shard {
    std::string silo;
    Problem problem;
    std::string source;
    std::filesystem::path path;
    float pixel_scale = 1.0F;
    float pixel_offset = 0.0F;
    Split train, validation, test;
    std::vector<std::string> class_names;    // empty, or one a class
    std::vector<std::string> feature_names;  // empty, or one a feature
    std::string fingerprint;                 // SHA-256 of task, shapes, pixel scale and the bytes of all splits
};

/// Reads and checks a silo's shard; DataError names file, split, row and value. Names and source are not part of the fingerprint.
[[nodiscard]] Shard read_shard(const std::filesystem::path& path);

/// Reads a common test shard, which needs a test split and may lack train; silo shards are read as well.
[[nodiscard]] Shard read_test_shard(const std::filesystem::path& path);

/// As read_shard (or read_test_shard, when there is no train split), but adds every bad value to `problems` instead of throwing for the
/// first. Still throws when nothing can be read.
[[nodiscard]] Shard inspect_shard(const std::filesystem::path& path, std::vector<std::string>& problems);

/// Writes the shard, whole or not at all; equal shards give equal bytes. Does not check it.
void write_shard(const std::filesystem::path& path, const Shard& shard);

[[nodiscard]] std::string fingerprint_of(const Shard& shard);

}  // namespace silosum

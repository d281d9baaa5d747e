// From an imported data set and a partition to the shards of silos: train, validation and test inside each silo, missing values filled.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/source.hpp"

namespace silosum {

struct CutSettings {
    double test_fraction = 0.1;
    double validation_fraction = 0.0;  // of all rows of the silo
    std::uint64_t seed = 1;
};

/// The shard of one silo. Where the source names the split of rows, that holds and only validation rows may be taken from its train rows;
/// else test and validation rows are drawn, spread evenly over the labels. Missing values become the mean (numeric columns) or the most
/// frequent category of the silo's own train rows; `notes` says how many. DataError when nothing is left to train on, or nothing to fill
/// from.
[[nodiscard]] Shard cut_shard(const Source& source, std::span<const std::uint32_t> rows, const std::string& silo, std::uint32_t silo_number,
                              const CutSettings& settings, std::vector<std::string>& notes);

/// Adds rows of the same kind and width.
void append_rows(Split& to, const Split& rows);

/// The source's own test set as a common test shard.
[[nodiscard]] Shard common_test_shard(const Source& source);

}  // namespace silosum

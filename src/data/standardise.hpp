// Standardising features: moments that add up over silos, and the affine map that follows from their sum.
#pragma once

#include <cstdint>
#include <vector>

#include "data/shard.hpp"
#include "model/standardisation.hpp"

namespace silosum {

/// Sums over rows, per feature, of the values after the pixel scale, good to the last place of a double. Those of two sets of rows add.
[[nodiscard]] std::vector<double> sums_of(const Shard& shard, const Split& split);
/// The same of the squared distances from `center`. The mean has to be known first: a difference of large squares would lose the spread.
[[nodiscard]] std::vector<double> squared_distances(const Shard& shard, const Split& split, const std::vector<double>& center);

/// Mean and spread of some rows, per feature.
struct Moments {
    std::uint64_t count = 0;
    std::vector<double> mean;
    std::vector<double> squared_distances;  // their sum, from the mean
};

[[nodiscard]] std::vector<double> mean_of(std::uint64_t count, const std::vector<double>& sums);
[[nodiscard]] Moments moments_of(const Shard& shard, const Split& split);

/// The map from stored values to features: the pixel scale alone.
[[nodiscard]] Affine plain_affine(const Shard& shard);

/// Kind federated: the mean and the sample deviation (n - 1) of the moments. The deviation is 0 where a feature is constant in them, and
/// everywhere with fewer than two rows.
[[nodiscard]] Standardisation standardisation_of(const Moments& moments);

/// The map from stored values to what a model sees: the pixel scale, then (x - mean) / deviation. Kind silo takes the moments of the
/// shard's own train rows; DataError where it has none.
[[nodiscard]] Affine affine_for(const Standardisation& standardisation, const Shard& shard);

/// affine_for(standardisation_of(moments), shard).
[[nodiscard]] Affine standardising_affine(const Moments& moments, const Shard& shard);

}  // namespace silosum

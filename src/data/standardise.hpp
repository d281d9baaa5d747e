// Standardising features: moments that add up over silos, and the affine map that follows from their sum.
#pragma once

#include <cstdint>
#include <vector>

#include "data/shard.hpp"
#include "model/standardisation.hpp"

namespace silosum {

/// Sums over rows, per feature, of the values after the pixel scale. Moments of two sets of rows add field by field.
struct Moments {
    std::uint64_t count = 0;
    std::vector<double> sum;
    std::vector<double> sum_of_squares;
};

/// Moments of a split of the shard; in double, in row order (exact integers for bytes).
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

#include "data/standardise.hpp"

#include <cmath>

#include "base/error.hpp"

namespace silosum {

namespace {

// Adds f(value, feature) over the rows, each feature with the rounding errors kept aside (Knuth, TAOCP 2, 4.2.2, theorem B), so that the
// result does not depend on how many rows there are.
template <class F>
std::vector<double> compensated_sums(const Shard& shard, const Split& split, F&& f) {
    std::vector<double> sums(split.features, 0.0);
    std::vector<double> errors(split.features, 0.0);
    const auto add_row = [&](const auto* row, double scale, double offset) {
        for (std::size_t i = 0; i < split.features; ++i) {
            const double value = f(scale * static_cast<double>(row[i]) + offset, i);
            const double sum = sums[i] + value;
            const double added = sum - sums[i];
            errors[i] += (sums[i] - (sum - added)) + (value - added);
            sums[i] = sum;
        }
    };
    for (std::size_t row = 0; row < split.rows; ++row) {
        if (split.is_bytes()) {
            add_row(split.bytes.data() + row * split.features, shard.pixel_scale, shard.pixel_offset);
        } else {
            add_row(split.floats.data() + row * split.features, 1.0, 0.0);
        }
    }
    for (std::size_t i = 0; i < split.features; ++i) sums[i] += errors[i];
    return sums;
}

}  // namespace

std::vector<double> sums_of(const Shard& shard, const Split& split) {
    return compensated_sums(shard, split, [](double value, std::size_t) { return value; });
}

std::vector<double> squared_distances(const Shard& shard, const Split& split, const std::vector<double>& center) {
    return compensated_sums(shard, split, [&](double value, std::size_t i) { return (value - center[i]) * (value - center[i]); });
}

std::vector<double> mean_of(std::uint64_t count, const std::vector<double>& sums) {
    std::vector<double> mean(sums.size(), 0.0);
    for (std::size_t i = 0; count > 0 && i < sums.size(); ++i) mean[i] = sums[i] / static_cast<double>(count);
    return mean;
}

Moments moments_of(const Shard& shard, const Split& split) {
    Moments moments{.count = split.rows, .mean = mean_of(split.rows, sums_of(shard, split)), .squared_distances = {}};
    moments.squared_distances = squared_distances(shard, split, moments.mean);
    return moments;
}

Affine plain_affine(const Shard& shard) {
    return {.per_feature = false, .scale = {shard.pixel_scale}, .offset = {shard.pixel_offset}};
}

Standardisation standardisation_of(const Moments& moments) {
    const std::size_t features = moments.mean.size();
    Standardisation of{.kind = "federated", .mean = moments.mean, .deviation = std::vector<double>(features, 0.0)};
    if (moments.count < 2) return of;
    for (std::size_t f = 0; f < features; ++f) {
        const double variance = moments.squared_distances[f] / static_cast<double>(moments.count - 1);
        // The mean of a constant column may be off by its last place, 1e-16 of it. One float32 that differs among 10^12 gives far more.
        if (variance > 1e-29 * moments.mean[f] * moments.mean[f]) of.deviation[f] = std::sqrt(variance);
    }
    return of;
}

Affine affine_for(const Standardisation& standardisation, const Shard& shard) {
    if (standardisation.kind == "none") return plain_affine(shard);
    if (standardisation.kind == "silo") {
        require<DataError>(shard.train.rows > 0, "{}: the model standardises with the silo's own train rows, and this shard has none",
                           shard.path.string());
        return standardising_affine(moments_of(shard, shard.train), shard);
    }
    const std::size_t features = standardisation.mean.size();
    Affine affine{.per_feature = true, .scale = std::vector<float>(features, 0.0F), .offset = std::vector<float>(features, 0.0F)};
    for (std::size_t f = 0; f < features; ++f) {
        const double deviation = standardisation.deviation[f];
        if (deviation == 0) continue;
        affine.scale[f] = static_cast<float>(shard.pixel_scale / deviation);
        affine.offset[f] = static_cast<float>((shard.pixel_offset - standardisation.mean[f]) / deviation);
    }
    return affine;
}

Affine standardising_affine(const Moments& moments, const Shard& shard) {
    return affine_for(standardisation_of(moments), shard);
}

}  // namespace silosum

#include "data/standardise.hpp"

#include <cmath>

#include "base/error.hpp"

namespace silosum {

namespace {

Moments moments_of_bytes(const Shard& shard, const Split& split) {
    std::vector<std::uint64_t> sums(split.features, 0);
    std::vector<std::uint64_t> squares(split.features, 0);
    const std::uint8_t* row = split.bytes.data();
    for (std::size_t r = 0; r < split.rows; ++r, row += split.features) {
        for (std::size_t f = 0; f < split.features; ++f) {
            const std::uint32_t value = row[f];
            sums[f] += value;
            squares[f] += value * value;
        }
    }
    const double scale = shard.pixel_scale;
    const double offset = shard.pixel_offset;
    const double n = static_cast<double>(split.rows);
    Moments moments{split.rows, std::vector<double>(split.features), std::vector<double>(split.features)};
    for (std::size_t f = 0; f < split.features; ++f) {
        const double sum = static_cast<double>(sums[f]);
        moments.sum[f] = scale * sum + n * offset;
        moments.sum_of_squares[f] = scale * scale * static_cast<double>(squares[f]) + 2.0 * scale * offset * sum + n * offset * offset;
    }
    return moments;
}

}  // namespace

Moments moments_of(const Shard& shard, const Split& split) {
    if (split.is_bytes()) return moments_of_bytes(shard, split);
    Moments moments{split.rows, std::vector<double>(split.features), std::vector<double>(split.features)};
    const float* row = split.floats.data();
    for (std::size_t r = 0; r < split.rows; ++r, row += split.features) {
        for (std::size_t f = 0; f < split.features; ++f) {
            const double value = row[f];
            moments.sum[f] += value;
            moments.sum_of_squares[f] += value * value;
        }
    }
    return moments;
}

Affine plain_affine(const Shard& shard) {
    return {.per_feature = false, .scale = {shard.pixel_scale}, .offset = {shard.pixel_offset}};
}

Standardisation standardisation_of(const Moments& moments) {
    const std::size_t features = moments.sum.size();
    Standardisation of{.kind = "federated", .mean = std::vector<double>(features, 0.0), .deviation = std::vector<double>(features, 0.0)};
    if (moments.count < 2) return of;
    const double n = static_cast<double>(moments.count);
    for (std::size_t f = 0; f < features; ++f) {
        of.mean[f] = moments.sum[f] / n;
        const double mean_square = moments.sum_of_squares[f] / n;
        const double variance = (mean_square - of.mean[f] * of.mean[f]) * n / (n - 1.0);
        // Rounding leaves a constant column a variance of about 1e-16 of its mean square, and float32 features cannot differ by less than
        // 1e-14 of it.
        if (variance > 1e-13 * mean_square) of.deviation[f] = std::sqrt(variance);
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

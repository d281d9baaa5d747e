#include "data/standardise.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace silosum {
namespace {

constexpr std::size_t features = 3;

Shard shard_of(const std::vector<float>& values) {
    Shard shard;
    shard.problem = {.task = Task::regression, .classes = 0, .feature_shape = {features}};
    shard.train = {.rows = values.size() / features, .features = features, .bytes = {}, .floats = values, .labels = {}, .targets = {}};
    return shard;
}

std::vector<float> some_values(std::size_t rows) {
    std::vector<float> values;
    for (std::size_t i = 0; i < rows; ++i) {
        values.push_back(1000.0F + static_cast<float>(i * i % 17));  // far from 0 against its deviation
        values.push_back(0.1F);                                      // constant, and not exact in binary
        values.push_back(static_cast<float>(i % 5) * 1e-3F);
    }
    return values;
}

TEST(Standardise, GivesMeanZeroAndSampleDeviationOne) {
    const Shard shard = shard_of(some_values(101));
    const Affine affine = standardising_affine(moments_of(shard, shard.train), shard);
    for (const std::size_t f : {std::size_t{0}, std::size_t{2}}) {
        double total = 0.0;
        double squares = 0.0;
        for (std::size_t row = 0; row < 101; ++row) {
            const double x = static_cast<double>(shard.train.floats[row * features + f]) * affine.scale[f] + affine.offset[f];
            total += x;
            squares += x * x;
        }
        // scale and offset are float32: x of about 200 deviations loses 200 * 2^-24.
        EXPECT_NEAR(total / 101.0, 0.0, 5e-5);
        EXPECT_NEAR(squares / 100.0, 1.0, 5e-5);
    }
}

TEST(Standardise, AConstantColumnBecomesZero) {
    const Shard shard = shard_of(some_values(101));
    const Affine affine = standardising_affine(moments_of(shard, shard.train), shard);
    EXPECT_EQ(affine.scale[1], 0.0F);
    EXPECT_EQ(affine.offset[1], 0.0F);
    const Shard one_row = shard_of(some_values(1));
    EXPECT_EQ(standardising_affine(moments_of(one_row, one_row.train), one_row).scale[0], 0.0F);
}

// Silos that add their sums see what one silo with all rows would see.
TEST(Standardise, SumsOfSilosAddUpToThoseOfAll) {
    const auto values = some_values(100);
    const Shard all = shard_of(values);
    const Shard first = shard_of({values.begin(), values.begin() + 31 * features});
    const Shard second = shard_of({values.begin() + 31 * features, values.end()});
    const Moments whole = moments_of(all, all.train);
    for (std::size_t f = 0; f < features; ++f) {
        EXPECT_DOUBLE_EQ(sums_of(first, first.train)[f] + sums_of(second, second.train)[f], 100 * whole.mean[f]);
        const double squares =
            squared_distances(first, first.train, whole.mean)[f] + squared_distances(second, second.train, whole.mean)[f];
        EXPECT_NEAR(squares, whole.squared_distances[f], 1e-15 * squares);
    }
}

// 0.3F added 10^5 times in double is off by more than its last place, and the difference of squares of values near 10^6 has no digit left.
TEST(Standardise, ManyRowsAndFarMeansLoseNothing) {
    constexpr std::size_t rows = 100'000;
    std::vector<float> values;
    for (std::size_t row = 0; row < rows; ++row) {
        values.push_back(0.3F);
        values.push_back(1e6F + (row % 2 == 0 ? 0.0625F : 0.0F));  // neighbours in float32
        values.push_back(row == 0 ? 1.0000001F : 1.0F);
    }
    const Shard shard = shard_of(values);
    const Standardisation of = standardisation_of(moments_of(shard, shard.train));
    EXPECT_EQ(of.deviation[0], 0.0);
    const double n = rows;
    EXPECT_NEAR(of.deviation[1], 0.03125 * std::sqrt(n / (n - 1)), 1e-9);
    const double step = static_cast<double>(1.0000001F) - 1.0;
    EXPECT_NEAR(of.deviation[2], step / std::sqrt(n), 1e-6 * step / std::sqrt(n));
}

TEST(Standardise, BytesHaveTheMomentsOfTheirScaledValues) {
    Shard bytes = shard_of({});
    bytes.pixel_scale = 0.5F;
    bytes.pixel_offset = -3.0F;
    std::vector<float> scaled;
    for (std::size_t i = 0; i < 40 * features; ++i) {
        bytes.train.bytes.push_back(static_cast<std::uint8_t>(i * 37 % 256));
        scaled.push_back(static_cast<float>(bytes.train.bytes.back()) * 0.5F - 3.0F);
    }
    bytes.train.rows = 40;
    const Shard floats = shard_of(scaled);
    const Moments a = moments_of(bytes, bytes.train);
    const Moments b = moments_of(floats, floats.train);
    const Affine map = standardising_affine(a, bytes);
    const Affine map_of_scaled = standardising_affine(b, floats);
    for (std::size_t f = 0; f < features; ++f) {
        EXPECT_DOUBLE_EQ(a.mean[f], b.mean[f]);
        EXPECT_DOUBLE_EQ(a.squared_distances[f], b.squared_distances[f]);
        const float byte = 200.0F;
        EXPECT_NEAR(byte * map.scale[f] + map.offset[f], (byte * 0.5F - 3.0F) * map_of_scaled.scale[f] + map_of_scaled.offset[f], 1e-5);
    }
}

TEST(Standardise, PlainIsThePixelScale) {
    Shard shard;
    shard.pixel_scale = 0.25F;
    shard.pixel_offset = 2.0F;
    const Affine affine = plain_affine(shard);
    EXPECT_FALSE(affine.per_feature);
    EXPECT_EQ(affine.scale[0], 0.25F);
    EXPECT_EQ(affine.offset[0], 2.0F);
}

}  // namespace
}  // namespace silosum

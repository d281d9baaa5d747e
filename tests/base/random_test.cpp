// The generator against its published vectors, and the laws that training relies on: streams that never meet, draws that are fair.
#include "base/random.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

namespace silosum {
namespace {

using Words = std::array<std::uint32_t, 4>;

// "philox4x32 10" of kat_vectors in the Random123 1.14 distribution.
TEST(Philox, EqualsTheKnownAnswersOfRandom123) {
    EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    constexpr std::uint32_t ones = 0xffffffff;
    EXPECT_EQ(philox({ones, ones, ones, ones}, {ones, ones}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
              (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, EveryCoordinateGivesAnotherStream) {
    const std::uint64_t seed = 7;
    std::set<Words> seen{Random(seed, Purpose::dropout, 1, 1).block(0)};
    for (const Random& other :
         {Random(seed + 1, Purpose::dropout, 1, 1), Random(seed + (std::uint64_t{1} << 32), Purpose::dropout, 1, 1),
          Random(seed, Purpose::selection, 1, 1), Random(seed, Purpose::dropout, 2, 1), Random(seed, Purpose::dropout, 1, 2)}) {
        EXPECT_TRUE(seen.insert(other.block(0)).second);
    }
    const Random random(seed, Purpose::dropout, 1, 1);
    EXPECT_TRUE(seen.insert(random.block(1)).second);
    EXPECT_TRUE(seen.insert(random.block(std::uint64_t{1} << 32)).second) << "all 64 bits of the index count";
}

TEST(Random, AValueDependsOnItsIndexAlone) {
    const Random random(3, Purpose::batch_order, 5, 9);
    const Random again(3, Purpose::batch_order, 5, 9);
    std::vector<double> forward;
    for (std::uint64_t i = 0; i < 10; ++i) forward.push_back(random.uniform(i));
    for (std::uint64_t i = 10; i-- > 0;) EXPECT_EQ(again.uniform(i), forward[i]);
    for (std::uint64_t i = 0; i < 8; ++i) EXPECT_EQ(random.word(i), random.block(i / 4)[i % 4]);
}

// Mean of n uniforms: sd 1/sqrt(12 n); of their squares about 1/3: sd sqrt(4/45/n). Five sd: one false alarm in two million seeds,
// and the seed is fixed.
TEST(Random, UniformFillsTheUnitIntervalEvenly) {
    const Random random(11, Purpose::partition);
    const int n = 20000;
    double sum = 0;
    double squares = 0;
    for (std::uint64_t i = 0; i < n; ++i) {
        const double u = random.uniform(i);
        ASSERT_GE(u, 0.0);
        ASSERT_LT(u, 1.0);
        sum += u;
        squares += u * u;
    }
    EXPECT_NEAR(sum / n, 0.5, 5 / std::sqrt(12.0 * n));
    EXPECT_NEAR(squares / n, 1.0 / 3, 5 * std::sqrt(4.0 / 45 / n));
}

TEST(Random, NormalHasMeanZeroVarianceOneAndThinTails) {
    const Random random(12, Purpose::initial_model);
    const int n = 20000;
    double sum = 0;
    double squares = 0;
    int beyond_two = 0;
    for (std::uint64_t i = 0; i < n; ++i) {
        const double z = random.normal(i);
        ASSERT_TRUE(std::isfinite(z));
        sum += z;
        squares += z * z;
        beyond_two += std::abs(z) > 2 ? 1 : 0;
    }
    EXPECT_NEAR(sum / n, 0.0, 5 / std::sqrt(double(n)));
    EXPECT_NEAR(squares / n, 1.0, 5 * std::sqrt(2.0 / n));
    const double two_sigma = std::erfc(std::sqrt(2.0));  // 0.0455
    EXPECT_NEAR(beyond_two / double(n), two_sigma, 5 * std::sqrt(two_sigma / n));
}

TEST(Random, BelowIsFairAndStaysBelow) {
    const Random random(13, Purpose::selection);
    const std::uint32_t bound = 7;
    const int n = 14000;
    std::vector<int> counts(bound);
    for (std::uint64_t i = 0; i < n; ++i) {
        const std::uint32_t value = random.below(i, bound);
        ASSERT_LT(value, bound);
        ++counts[value];
    }
    for (const int count : counts) EXPECT_NEAR(count, n / 7.0, 5 * std::sqrt(n / 7.0));
    EXPECT_EQ(random.below(0, 1), 0U);
    // The largest bound uses the whole word: bits * bound / 2^64 must not overflow on the way.
    double mean = 0;
    for (std::uint64_t i = 0; i < 4000; ++i) mean += random.below(i, 0xffffffff) / 4000.0;
    EXPECT_NEAR(mean / 4294967296.0, 0.5, 5 / std::sqrt(12.0 * 4000));
}

TEST(Permutation, HoldsEachNumberOnce) {
    const Random random(14, Purpose::batch_order);
    for (const std::size_t n : {0, 1, 2, 5, 1000}) {
        auto order = permutation(random, n);
        std::sort(order.begin(), order.end());
        std::vector<std::uint32_t> expected(n);
        std::iota(expected.begin(), expected.end(), 0U);
        EXPECT_EQ(order, expected);
    }
}

TEST(Permutation, AllSixOrdersOfThreeAreEquallyLikely) {
    std::map<std::vector<std::uint32_t>, int> counts;
    const int n = 6000;
    for (std::uint32_t round = 0; round < n; ++round) ++counts[permutation(Random(15, Purpose::batch_order, 0, round), 3)];
    EXPECT_EQ(counts.size(), 6U);
    for (const auto& [order, count] : counts) EXPECT_NEAR(count, n / 6.0, 5 * std::sqrt(n / 6.0));
}

TEST(Permutation, StartsWhereItIsTold) {
    const Random random(16, Purpose::batch_order);
    EXPECT_EQ(permutation(random, 100, 0), permutation(random, 100));
    EXPECT_NE(permutation(random, 100, 100), permutation(random, 100, 0));
}

TEST(Sample, IsAscendingDifferentAndUniform) {
    std::vector<int> counts(10);
    const int n = 5000;
    for (std::uint32_t round = 0; round < n; ++round) {
        const auto chosen = sample_without_replacement(Random(17, Purpose::selection, 0, round), 10, 3);
        ASSERT_EQ(chosen.size(), 3U);
        ASSERT_TRUE(std::is_sorted(chosen.begin(), chosen.end()));
        ASSERT_TRUE(std::adjacent_find(chosen.begin(), chosen.end()) == chosen.end());
        ASSERT_LT(chosen.back(), 10U);
        for (const auto silo : chosen) ++counts[silo];
    }
    for (const int count : counts) EXPECT_NEAR(count, n * 0.3, 5 * std::sqrt(n * 0.3 * 0.7));
}

TEST(Sample, OfAllOrMoreIsEverything) {
    const Random random(18, Purpose::selection);
    const std::vector<std::uint32_t> all{0, 1, 2, 3};
    EXPECT_EQ(sample_without_replacement(random, 4, 4), all);
    EXPECT_EQ(sample_without_replacement(random, 4, 9), all);
    EXPECT_TRUE(sample_without_replacement(random, 4, 0).empty());
}

}  // namespace
}  // namespace silosum

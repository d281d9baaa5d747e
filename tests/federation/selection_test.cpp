// Who takes part in a round depends on seed and round alone, and everybody has the same chance.
#include "federation/selection.hpp"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "support/message_of.hpp"

namespace silosum {
namespace {

TEST(Selection, ZeroMeansAllSilos) {
    const Selection selection({.silos_per_round = 0}, 4, 1);
    EXPECT_EQ(selection.silos_per_round(), 4U);
    EXPECT_EQ(selection.choose(9), (std::vector<std::uint32_t>{0, 1, 2, 3}));
}

TEST(Selection, ChoosesThatManyDifferentSilosInOrder) {
    const Selection selection({.silos_per_round = 7}, 20, 3);
    for (std::uint64_t round = 1; round <= 50; ++round) {
        const auto chosen = selection.choose(round);
        EXPECT_EQ(chosen.size(), 7U);
        EXPECT_TRUE(std::is_sorted(chosen.begin(), chosen.end()));
        EXPECT_EQ(std::set<std::uint32_t>(chosen.begin(), chosen.end()).size(), 7U);
        EXPECT_LT(chosen.back(), 20U);
    }
}

TEST(Selection, IsAFunctionOfSeedAndRound) {
    const Selection one({.silos_per_round = 5}, 100, 3);
    const Selection again({.silos_per_round = 5}, 100, 3);
    const Selection other({.silos_per_round = 5}, 100, 4);
    EXPECT_EQ(one.choose(12), again.choose(12));
    EXPECT_NE(one.choose(12), one.choose(13));
    EXPECT_NE(one.choose(12), other.choose(12));
}

// 4000 rounds of 3 of 12: each silo is expected 1000 times with a deviation of sqrt(4000 * 1/4 * 3/4) = 27; six of them allow for all.
TEST(Selection, GivesEverySiloTheSameChance) {
    const Selection selection({.silos_per_round = 3}, 12, 5);
    std::vector<int> times(12, 0);
    for (std::uint64_t round = 1; round <= 4000; ++round) {
        for (const auto silo : selection.choose(round)) ++times[silo];
    }
    for (const int count : times) EXPECT_NEAR(count, 1000, 6 * 27.4);
}

TEST(Selection, MoreThanThereAreIsRefused) {
    EXPECT_EQ(message_of<UsageError>([] { Selection({.silos_per_round = 4}, 3, 1); }),
              "selection.silos_per_round = 4: there are only 3 silos; use 0 for all");
}

}  // namespace
}  // namespace silosum

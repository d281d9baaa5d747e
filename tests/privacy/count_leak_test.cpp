// Which silo's count follows from sums of counts, against a search over small combinations.
#include "privacy/count_leak.hpp"

#include <set>

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace silosum {
namespace {

std::vector<bool> set_of(std::size_t silos, unsigned bits) {
    std::vector<bool> set(silos);
    for (std::size_t i = 0; i < silos; ++i) set[i] = (bits >> i & 1U) != 0;
    return set;
}

TEST(SummedSets, TheSameSetShowsNothing) {
    SummedSets sets;
    for (int round = 0; round < 5; ++round) {
        EXPECT_FALSE(sets.exposed_by(set_of(5, 0b11111)));
        sets.add(set_of(5, 0b11111));
    }
}

TEST(SummedSets, ADifferenceOfOneSiloShowsIt) {
    SummedSets sets;
    sets.add(set_of(5, 0b11111));
    EXPECT_EQ(sets.exposed_by(set_of(5, 0b11011)), 2U);
    EXPECT_FALSE(sets.exposed_by(set_of(5, 0b10011)));
}

// What was accepted once is no reason to refuse what comes after.
TEST(SummedSets, WhatIsKnownAlreadyIsNotExposedAgain) {
    SummedSets sets;
    sets.add(set_of(5, 0b11111));
    sets.add(set_of(5, 0b11011));
    EXPECT_FALSE(sets.exposed_by(set_of(5, 0b11111)));
    EXPECT_FALSE(sets.exposed_by(set_of(5, 0b11011)));
    EXPECT_EQ(sets.exposed_by(set_of(5, 0b11110)), 0U);
}

// {a,b}, {b,c}, {a,c}: half of the first and third less the second is a.
TEST(SummedSets, FractionsCountToo) {
    SummedSets sets;
    sets.add(set_of(4, 0b0011));
    sets.add(set_of(4, 0b0110));
    EXPECT_TRUE(sets.exposed_by(set_of(4, 0b0101)));
    EXPECT_FALSE(sets.exposed_by(set_of(4, 0b1111)));
}

// All combinations with coefficients of a small range find no silo that the algebra does not, and the algebra finds those that they do.
TEST(SummedSets, AgreeWithASearch) {
    constexpr std::size_t silos = 5;
    const Random random(3, Purpose::split);
    for (std::uint64_t trial = 0; trial < 300; ++trial) {
        std::vector<std::vector<bool>> rows;
        SummedSets sets;
        for (std::uint64_t i = 0; i < 3; ++i) {
            rows.push_back(set_of(silos, static_cast<unsigned>(random.word(trial * 4 + i) % 31 + 1)));
            if (i < 2) sets.add(rows.back());
        }
        std::set<std::size_t> found;
        std::set<std::size_t> known;  // without the third row
        for (int a = -3; a <= 3; ++a) {
            for (int b = -3; b <= 3; ++b) {
                for (int c = -3; c <= 3; ++c) {
                    std::vector<int> sum(silos);
                    std::size_t others = 0;
                    for (std::size_t s = 0; s < silos; ++s) {
                        sum[s] = a * rows[0][s] + b * rows[1][s] + c * rows[2][s];
                        others += sum[s] != 0 ? 1 : 0;
                    }
                    for (std::size_t s = 0; s < silos && others == 1; ++s) {
                        if (sum[s] != 0) (c == 0 ? known : found).insert(s);
                    }
                }
            }
        }
        for (const std::size_t s : known) found.erase(s);
        const auto exposed = sets.exposed_by(rows[2]);
        EXPECT_EQ(exposed.has_value(), !found.empty()) << trial;
        EXPECT_TRUE(!exposed || found.contains(*exposed)) << trial;
    }
}

}  // namespace
}  // namespace silosum

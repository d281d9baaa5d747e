#include "data/partition.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "support/message_of.hpp"

namespace silosum {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::size_t classes = 10;
constexpr std::size_t rows = 5003;  // a prime: no cut falls even

std::vector<std::int32_t> some_labels() {
    std::vector<std::int32_t> labels;
    for (std::size_t i = 0; i < rows; ++i) labels.push_back(static_cast<std::int32_t>(i * i % 97 % classes));
    return labels;
}

std::vector<std::vector<std::size_t>> label_counts(const Parts& parts, const std::vector<std::int32_t>& labels) {
    std::vector<std::vector<std::size_t>> counts(parts.size(), std::vector<std::size_t>(classes, 0));
    for (std::size_t i = 0; i < parts.size(); ++i) {
        for (const auto row : parts[i]) ++counts[i][static_cast<std::size_t>(labels[row])];
    }
    return counts;
}

struct NamedSplit {
    const char* name;
    Parts (*split)(std::size_t silos, std::uint64_t seed);
};

class EverySplit : public ::testing::TestWithParam<NamedSplit> {};

TEST_P(EverySplit, GivesEveryRowToExactlyOneSilo) {
    for (const std::size_t silos : {1U, 2U, 7U, 20U}) {
        const Parts parts = GetParam().split(silos, 3);
        ASSERT_EQ(parts.size(), silos);
        std::vector<std::uint32_t> all;
        for (const auto& part : parts) {
            EXPECT_FALSE(part.empty());
            EXPECT_TRUE(std::is_sorted(part.begin(), part.end()));
            all.insert(all.end(), part.begin(), part.end());
        }
        std::sort(all.begin(), all.end());
        std::vector<std::uint32_t> expected(rows);
        std::iota(expected.begin(), expected.end(), 0U);
        EXPECT_EQ(all, expected);
    }
}

TEST_P(EverySplit, DependsOnTheSeedAlone) {
    const Parts parts = GetParam().split(7, 3);
    EXPECT_EQ(GetParam().split(7, 3), parts);
    EXPECT_NE(GetParam().split(7, 4), parts);
}

INSTANTIATE_TEST_SUITE_P(
    Splits, EverySplit,
    ::testing::Values(
        NamedSplit{"iid", [](std::size_t silos, std::uint64_t seed) { return split_iid(rows, silos, seed); }},
        NamedSplit{"labels", [](std::size_t silos, std::uint64_t seed) { return split_by_labels(some_labels(), 2, silos, seed); }},
        NamedSplit{"dirichlet",
                   [](std::size_t silos, std::uint64_t seed) { return split_dirichlet(some_labels(), classes, 0.3, silos, 10, seed); }},
        NamedSplit{"quantity", [](std::size_t silos, std::uint64_t seed) { return split_by_quantity(rows, 0.7, silos, 10, seed); }}),
    [](const auto& instance) { return instance.param.name; });

TEST(SplitIid, SizesDifferByOneAtMost) {
    const Parts parts = split_iid(rows, 12, 1);
    const auto [low, high] =
        std::minmax_element(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
    EXPECT_LE(high->size() - low->size(), 1U);
}

TEST(SplitByLabels, ASiloSeesFewLabels) {
    const auto labels = some_labels();
    for (const std::size_t pieces : {1U, 2U, 3U}) {
        std::size_t most = 0;
        std::size_t exact = 0;
        for (const auto& counts : label_counts(split_by_labels(labels, pieces, 20, 5), labels)) {
            const auto seen = static_cast<std::size_t>(std::count_if(counts.begin(), counts.end(), [](std::size_t n) { return n > 0; }));
            most = std::max(most, seen);
            if (seen <= pieces) ++exact;
        }
        // A piece is smaller than a class here, so it touches two labels at most.
        EXPECT_LE(most, 2 * pieces);
        EXPECT_GE(exact, 1U);
    }
}

TEST(SplitByLabels, EvenClassesGiveAtMostKLabels) {
    std::vector<std::int32_t> labels(4000);
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int32_t>(i * 7 % classes);
    for (const auto& counts : label_counts(split_by_labels(labels, 2, 20, 5), labels)) {
        EXPECT_LE(std::count_if(counts.begin(), counts.end(), [](std::size_t n) { return n > 0; }), 2);
        EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), std::size_t{0}), 200U);
    }
}

// Largest difference of a label's share in a silo from its share in all rows.
double skew(const Parts& parts, const std::vector<std::int32_t>& labels) {
    const auto counts = label_counts(parts, labels);
    std::vector<double> all(classes, 0.0);
    for (const auto label : labels) all[static_cast<std::size_t>(label)] += 1.0 / static_cast<double>(labels.size());
    double largest = 0.0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        for (std::size_t c = 0; c < classes; ++c) {
            const double share = static_cast<double>(counts[i][c]) / static_cast<double>(parts[i].size());
            largest = std::max(largest, std::abs(share - all[c]));
        }
    }
    return largest;
}

TEST(SplitDirichlet, LargeAlphaIsNearlyIidAndSmallAlphaIsNot) {
    const auto labels = some_labels();
    // With alpha = 1e5 the proportions are 1/10 within 1 %; rounding moves a row per class of about 50 rows.
    EXPECT_LT(skew(split_dirichlet(labels, classes, 1e5, 10, 10, 1), labels), 0.02);
    EXPECT_GT(skew(split_dirichlet(labels, classes, 0.1, 10, 10, 1), labels), 0.3);
}

TEST(SplitDirichlet, EverySiloHasTheFewestRowsAllowed) {
    const auto labels = some_labels();
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        for (const auto& part : split_dirichlet(labels, classes, 0.1, 10, 40, seed)) EXPECT_GE(part.size(), 40U);
        for (const auto& part : split_by_quantity(rows, 0.5, 10, 40, seed)) EXPECT_GE(part.size(), 40U);
    }
}

TEST(SplitDirichlet, WhatCannotBeIsRefused) {
    const auto labels = some_labels();
    EXPECT_THAT(message_of<UsageError>([&] { (void)split_dirichlet(labels, classes, 0.001, 20, 240, 1); }), HasSubstr("larger number"));
    EXPECT_THAT(message_of<UsageError>([&] { (void)split_dirichlet(labels, classes, 1.0, 600, 10, 1); }), HasSubstr("too few"));
    EXPECT_THAT(message_of<UsageError>([&] { (void)split_iid(5, 6, 1); }), HasSubstr("5 rows cannot be split over 6 silos"));
}

// A silo that has its equal share takes nothing of the classes after.
TEST(SplitDirichlet, FullSilosTakeNoFurtherClass) {
    const auto labels = some_labels();
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        for (const auto& counts : label_counts(split_dirichlet(labels, classes, 0.3, 10, 10, seed), labels)) {
            std::size_t before_last = 0;
            std::size_t last = 0;
            for (const std::size_t count : counts) {
                if (count == 0) continue;
                before_last += last;
                last = count;
            }
            EXPECT_LT(before_last * 10, rows);
        }
    }
}

// Sizes over many seeds have the mean and variance of Dirichlet(alpha): 1/n and (1/n)(1 - 1/n)/(n alpha + 1). With 4000 draws the
// standard error of the variance is below 3 %.
TEST(SplitByQuantity, SizesHaveDirichletMoments) {
    constexpr std::size_t silos = 4;
    constexpr int draws = 4000;
    for (const double alpha : {0.3, 2.0}) {
        double sum = 0.0;
        double squares = 0.0;
        for (std::uint64_t seed = 0; seed < draws; ++seed) {
            const double share = static_cast<double>(split_by_quantity(500, alpha, silos, 0, seed)[1].size()) / 500.0;
            sum += share;
            squares += share * share;
        }
        const double mean = sum / draws;
        const double variance = squares / draws - mean * mean;
        const double expected = 0.25 * 0.75 / (silos * alpha + 1.0);
        EXPECT_NEAR(mean, 0.25, 4.0 * std::sqrt(expected / draws)) << alpha;
        EXPECT_NEAR(variance, expected, 0.08 * expected) << alpha;
    }
}

TEST(SplitByName, OneSiloANameInOrder) {
    const std::vector<std::string> words{"b", "a", "b", "c"};
    std::vector<std::string> names;
    EXPECT_THAT(split_by_name(words, names), ElementsAre(ElementsAre(1), ElementsAre(0, 2), ElementsAre(3)));
    EXPECT_THAT(names, ElementsAre("a", "b", "c"));
    const std::vector<std::string> numbers{"10", "9", "10"};
    EXPECT_THAT(split_by_name(numbers, names), ElementsAre(ElementsAre(1), ElementsAre(0, 2)));
    EXPECT_THAT(names, ElementsAre("9", "10"));
}

TEST(ChooseStratified, EveryLabelGivesItsShare) {
    const auto labels = some_labels();
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, rows / 10, rows / 3, rows}) {
        const auto chosen = choose_stratified(labels, rows, count, 1, 2, 1);
        EXPECT_EQ(static_cast<std::size_t>(std::count(chosen.begin(), chosen.end(), true)), count);
        std::vector<double> taken(classes, 0.0);
        std::vector<double> all(classes, 0.0);
        for (std::size_t row = 0; row < rows; ++row) {
            all[static_cast<std::size_t>(labels[row])] += 1.0;
            if (chosen[row]) taken[static_cast<std::size_t>(labels[row])] += 1.0;
        }
        for (std::size_t c = 0; c < classes; ++c) EXPECT_NEAR(taken[c], all[c] * static_cast<double>(count) / rows, 1.0);
    }
}

TEST(ChooseStratified, DependsOnSeedAndSilo) {
    const auto chosen = choose_stratified({}, 100, 10, 1, 0, 0);
    EXPECT_EQ(choose_stratified({}, 100, 10, 1, 0, 0), chosen);
    EXPECT_NE(choose_stratified({}, 100, 10, 2, 0, 0), chosen);
    EXPECT_NE(choose_stratified({}, 100, 10, 1, 1, 0), chosen);
}

}  // namespace
}  // namespace silosum

#include "data/cut.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "support/message_of.hpp"

namespace silosum {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Row i has the single feature i and the label i mod 3.
Source numbered_source(std::size_t rows) {
    Source source;
    source.name = "numbers";
    source.problem = {.task = Task::classification, .classes = 3, .feature_shape = {1}};
    source.rows.rows = rows;
    source.rows.features = 1;
    for (std::size_t i = 0; i < rows; ++i) {
        source.rows.floats.push_back(static_cast<float>(i));
        source.rows.labels.push_back(static_cast<std::int32_t>(i % 3));
    }
    return source;
}

std::vector<std::uint32_t> every_row(std::size_t rows) {
    std::vector<std::uint32_t> all(rows);
    std::iota(all.begin(), all.end(), 0U);
    return all;
}

Shard cut(const Source& source, const CutSettings& settings, std::uint32_t silo = 0) {
    std::vector<std::string> notes;
    return cut_shard(source, every_row(source.rows.rows), "s", silo, settings, notes);
}

TEST(Cut, SplitsCoverTheRowsOnce) {
    const Shard shard = cut(numbered_source(100), {.test_fraction = 0.2, .validation_fraction = 0.1, .seed = 4});
    EXPECT_EQ(shard.train.rows, 70U);
    EXPECT_EQ(shard.validation.rows, 10U);
    EXPECT_EQ(shard.test.rows, 20U);
    std::vector<float> all;
    for (const Split* split : {&shard.train, &shard.validation, &shard.test}) {
        all.insert(all.end(), split->floats.begin(), split->floats.end());
        for (std::size_t i = 0; i < split->rows; ++i) EXPECT_EQ(split->labels[i], static_cast<std::int32_t>(split->floats[i]) % 3);
    }
    std::sort(all.begin(), all.end());
    EXPECT_EQ(all, numbered_source(100).rows.floats);
}

TEST(Cut, IsStratifiedAndKeyedBySeedAndSilo) {
    const CutSettings settings{.test_fraction = 0.3, .seed = 4};
    const Shard shard = cut(numbered_source(99), settings);
    for (std::int32_t label = 0; label < 3; ++label) {
        EXPECT_NEAR(static_cast<double>(std::count(shard.test.labels.begin(), shard.test.labels.end(), label)), 10.0, 1.0);
    }
    EXPECT_EQ(cut(numbered_source(99), settings).test.floats, shard.test.floats);
    EXPECT_NE(cut(numbered_source(99), settings, 1).test.floats, shard.test.floats);
    EXPECT_NE(cut(numbered_source(99), {.test_fraction = 0.3, .seed = 5}).test.floats, shard.test.floats);
}

TEST(Cut, TheLastTrainRowStays) {
    const Shard shard = cut(numbered_source(1), {.test_fraction = 0.9});
    EXPECT_EQ(shard.train.rows, 1U);
    EXPECT_EQ(shard.test.rows, 0U);
}

TEST(Cut, NamedSplitsHoldAndValidationMayBeDrawnFromTrain) {
    Source source = numbered_source(10);
    source.split_of_row.assign(10, SplitName::train);
    source.split_of_row[2] = SplitName::test;
    source.split_of_row[7] = SplitName::test;
    const Shard shard = cut(source, {.test_fraction = 0.5, .validation_fraction = 0.2});
    EXPECT_THAT(shard.test.floats, ElementsAre(2.0F, 7.0F));
    EXPECT_EQ(shard.validation.rows, 2U);
    EXPECT_EQ(shard.train.rows, 6U);
    source.split_of_row.assign(10, SplitName::test);
    EXPECT_THAT(message_of<DataError>([&] { (void)cut(source, {}); }), HasSubstr("silo s has no train rows"));
}

TEST(Cut, FillsFromTheSilosOwnTrainRowsOnly) {
    Source source = numbered_source(6);
    source.columns = {{.name = "age", .first_feature = 0, .categories = {}, .drops_first = false}};
    source.split_of_row.assign(6, SplitName::train);
    source.split_of_row[4] = source.split_of_row[5] = SplitName::test;
    source.rows.floats[1] = source.rows.floats[5] = NAN;
    std::vector<std::string> notes;
    const std::vector<std::uint32_t> rows{0, 1, 2, 4, 5};  // row 3 belongs to another silo
    const Shard shard = cut_shard(source, rows, "s", 0, {}, notes);
    EXPECT_THAT(shard.train.floats, ElementsAre(0.0F, 1.0F, 2.0F));
    EXPECT_THAT(shard.test.floats, ElementsAre(4.0F, 1.0F));
    EXPECT_THAT(notes, ElementsAre("silo s: filled from its own train rows: 2 age (mean 1)"));
    source.rows.floats[0] = source.rows.floats[2] = NAN;
    EXPECT_THAT(message_of<DataError>([&] { (void)cut_shard(source, rows, "s", 0, {}, notes); }), HasSubstr("no value of \"age\""));
}

}  // namespace
}  // namespace silosum

// Metrics measured where the rows are equal those of all rows in one place, on any number of ranks.
#include "observe/evaluation.hpp"

#include <gtest/gtest.h>

#include "observe/small_federation.hpp"

namespace silosum {
namespace {

EvaluationConfig measuring_every(std::uint64_t rounds) {
    EvaluationConfig config;
    config.every = rounds;
    return config;
}

// Keeps the records of all rounds, as the last observer.
class Records : public Observer {
public:
    void after_round(RoundReport& report) override { all.push_back(report.record); }
    std::vector<nlohmann::ordered_json> all;
};

// The rows of every silo one after the other, as if they had been sent to one place.
Split pooled(const SmallFederation& small, Split Shard::*split) {
    Split all;
    for (std::size_t silo = 0; silo < small_silos; ++silo) {
        const Shard shard = small.shard_of(silo, small.federation->census.problem);
        const Split& rows = shard.*split;
        all.rows += rows.rows;
        all.features = rows.features;
        all.floats.insert(all.floats.end(), rows.floats.begin(), rows.floats.end());
        all.labels.insert(all.labels.end(), rows.labels.begin(), rows.labels.end());
    }
    return all;
}

TEST(Evaluation, OverallMetricsAreThoseOfAllRowsInOnePlace) {
    SmallFederation small;
    const auto& evaluation = small.observe_with<Evaluation>(measuring_every(1), *small.federation, std::nullopt);
    small.train(1, 3);
    for (const auto& [name, split] : {std::pair("validation", &Shard::validation), std::pair("test", &Shard::test)}) {
        const Split all = pooled(small, split);
        const Metrics expected = measure(small.federation->trainer.network(), all, {}, 0, all.rows).finish();
        const Metrics& found = evaluation.latest().at(name);
        EXPECT_EQ(found.rows, all.rows);
        EXPECT_EQ(found.accuracy, expected.accuracy);
        EXPECT_EQ(found.auc, expected.auc);
        // Each silo's losses are added in double before the exact sum: rounding of a few dozen additions.
        EXPECT_NEAR(*found.loss, *expected.loss, 1e-14 * static_cast<double>(all.rows));
    }
}

TEST(Evaluation, TheRecordNamesEverySiloInOrderAndTheWorst) {
    SmallFederation small;
    small.observe_with<Evaluation>(measuring_every(1), *small.federation, std::nullopt);
    const auto& records = small.observe_with<Records>();
    small.train(1, 1);
    if (small.world.rank() != 0) return;
    const auto& test = records.all.at(0)["test"];
    ASSERT_EQ(test["silos"].size(), small_silos);
    double sum = 0;
    double lowest = 1;
    for (std::size_t i = 0; i < small_silos; ++i) {
        EXPECT_EQ(test["silos"][i]["silo"], "silo " + std::to_string(i));
        sum += test["silos"][i]["accuracy"].get<double>();
        lowest = std::min(lowest, test["silos"][i]["accuracy"].get<double>());
    }
    EXPECT_NEAR(test["accuracy"]["mean"].get<double>(), sum / small_silos, 1e-15);
    EXPECT_EQ(test["accuracy"]["min"], lowest);
    for (const auto& silo : test["silos"]) {
        if (silo["silo"] == test["accuracy"]["worst"]) {
            EXPECT_EQ(silo["accuracy"], lowest);
        }
    }
}

TEST(Evaluation, MeasuresEveryFewRoundsAndAfterTheLast) {
    for (const auto& [every, expected] : {std::pair<std::uint64_t, std::vector<std::uint64_t>>{2, {2, 4, 5}}, {0, {5}}, {9, {5}}}) {
        SmallFederation small;
        small.observe_with<Evaluation>(measuring_every(every), *small.federation, std::nullopt);
        const auto& records = small.observe_with<Records>();
        small.train(1, 5);
        std::vector<std::uint64_t> measured;
        for (std::size_t i = 0; i < records.all.size(); ++i) {
            if (records.all[i].contains("test")) measured.push_back(i + 1);
        }
        if (small.world.rank() == 0) {
            EXPECT_EQ(measured, expected) << "every " << every;
        }
    }
}

TEST(Evaluation, ACommonTestIsMeasuredOnceAndJudgesTheRun) {
    SmallFederation small;
    CommonTest common;
    common.shard.problem = small.federation->census.problem;
    // More rows than a block, so that several ranks measure.
    for (int i = 0; i < 40; ++i) {
        const Split more = pooled(small, &Shard::train);
        common.shard.test.rows += more.rows;
        common.shard.test.features = more.features;
        common.shard.test.floats.insert(common.shard.test.floats.end(), more.floats.begin(), more.floats.end());
        common.shard.test.labels.insert(common.shard.test.labels.end(), more.labels.begin(), more.labels.end());
    }
    const auto& evaluation = small.observe_with<Evaluation>(measuring_every(1), *small.federation, common);
    small.train(1, 2);
    const Split& rows = common.shard.test;
    const Metrics expected = measure(small.federation->trainer.network(), rows, {}, 0, rows.rows).finish();
    ASSERT_TRUE(evaluation.judged().has_value());
    EXPECT_EQ(evaluation.judged()->rows, rows.rows);
    EXPECT_EQ(evaluation.judged()->accuracy, expected.accuracy);
    EXPECT_NEAR(*evaluation.judged()->loss, *expected.loss, 1e-12);
}

TEST(Evaluation, WithoutValidationRowsThereIsNoSuchEntry) {
    SmallFederation small({.validation_rows = 0});
    const auto& evaluation = small.observe_with<Evaluation>(measuring_every(1), *small.federation, std::nullopt);
    small.train(1, 1);
    EXPECT_FALSE(evaluation.latest().contains("validation"));
    EXPECT_TRUE(evaluation.latest().contains("test"));
}

}  // namespace
}  // namespace silosum

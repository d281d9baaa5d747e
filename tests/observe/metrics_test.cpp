// Laws of the metric sums: parts add up to the whole, and the finished metrics are what their definitions say.
#include "observe/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/random.hpp"

namespace silosum {
namespace {

Problem classification(std::size_t classes) {
    return {.task = Task::classification, .classes = classes, .feature_shape = {4}};
}
Problem binary() {
    return {.task = Task::binary, .classes = 2, .feature_shape = {4}};
}
Problem regression() {
    return {.task = Task::regression, .classes = 0, .feature_shape = {4}};
}

struct Rows {
    std::vector<float> outputs;
    std::vector<std::int32_t> labels;
    std::vector<float> targets;
};

/// Outputs of a model that is right more often than not.
Rows random_rows(const Problem& problem, std::size_t rows, std::uint64_t seed) {
    const Random random(seed, Purpose::partition);
    std::uint64_t next = 0;
    Rows made;
    for (std::size_t row = 0; row < rows; ++row) {
        if (problem.task == Task::regression) {
            const double target = 3 + random.normal(next++);
            made.targets.push_back(static_cast<float>(target));
            made.outputs.push_back(static_cast<float>(target + 0.3 * random.normal(next++)));
            continue;
        }
        const auto classes = static_cast<std::uint32_t>(problem.classes);
        const std::uint32_t label = random.below(next++, classes);
        made.labels.push_back(static_cast<std::int32_t>(label));
        if (problem.task == Task::binary) {
            made.outputs.push_back(static_cast<float>(random.normal(next++) + (label == 1 ? 1 : -1)));
        } else {
            for (std::uint32_t c = 0; c < classes; ++c)
                made.outputs.push_back(static_cast<float>(random.normal(next++) + (c == label ? 2 : 0)));
        }
    }
    return made;
}

void add_rows(MetricSums& sums, const Problem& problem, const Rows& rows, std::size_t first, std::size_t count,
              std::span<const float> weights = {}) {
    const std::size_t width = problem.outputs();
    const auto outputs = std::span(rows.outputs).subspan(first * width, count * width);
    if (problem.task == Task::regression) {
        sums.add(outputs, std::span<const float>(rows.targets).subspan(first, count));
    } else {
        sums.add(outputs, std::span<const std::int32_t>(rows.labels).subspan(first, count), weights);
    }
}

MetricSums sums_of(const Problem& problem, const Rows& rows, std::span<const float> weights = {}) {
    MetricSums sums(problem);
    add_rows(sums, problem, rows, 0, rows.outputs.size() / problem.outputs(), weights);
    return sums;
}

Metrics metrics_of(const Problem& problem, const std::vector<float>& outputs, const std::vector<std::int32_t>& labels,
                   const std::vector<float>& weights = {}) {
    MetricSums sums(problem);
    sums.add(outputs, labels, weights);
    return sums.finish();
}

class EveryProblem : public testing::TestWithParam<Problem> {};
INSTANTIATE_TEST_SUITE_P(Metrics, EveryProblem,
                         testing::Values(classification(2), classification(10), classification(100), binary(), regression()),
                         [](const auto& param) { return to_string(param.param.task) + std::to_string(param.param.classes); });

TEST_P(EveryProblem, SumsOfPartsAreTheSumsOfTheWhole) {
    const Problem problem = GetParam();
    const Rows rows = random_rows(problem, 500, 1);
    const MetricSums whole = sums_of(problem, rows);
    MetricSums parts(problem);
    std::size_t first = 0;
    for (const std::size_t count : {1, 0, 199, 300}) {
        MetricSums part(problem);
        add_rows(part, problem, rows, first, count);
        // The way through an exchange: vectors of fixed length there, sums back.
        EXPECT_EQ(part.counts().size(), MetricSums::count_length(problem));
        EXPECT_EQ(part.numbers().size(), MetricSums::number_length(problem));
        parts += MetricSums::from_sums(problem, part.counts(), part.numbers());
        first += count;
    }
    EXPECT_EQ(parts.counts(), whole.counts());
    EXPECT_EQ(parts.rows(), 500U);
    for (std::size_t i = 0; i < whole.numbers().size(); ++i) {
        // Two orders of 500 additions of terms with one sign.
        EXPECT_NEAR(parts.numbers()[i], whole.numbers()[i], 1e-13 * 500 * std::abs(whole.numbers()[i]));
    }
    for (const std::string& name : metric_names(problem.task)) {
        const auto of_parts = parts.finish().value(name), of_whole = whole.finish().value(name);
        ASSERT_EQ(of_parts.has_value(), of_whole.has_value()) << name;
        if (of_whole) {
            EXPECT_NEAR(*of_parts, *of_whole, 1e-10) << name;
        }
    }
}

TEST_P(EveryProblem, CountsDoNotDependOnTheOrderOfRows) {
    const Problem problem = GetParam();
    const std::size_t width = problem.outputs();
    const Rows rows = random_rows(problem, 300, 2);
    Rows shuffled;
    for (const std::uint32_t row : permutation(Random(3, Purpose::partition), 300)) {
        shuffled.outputs.insert(shuffled.outputs.end(), rows.outputs.begin() + row * width, rows.outputs.begin() + (row + 1) * width);
        if (!rows.labels.empty()) shuffled.labels.push_back(rows.labels[row]);
        if (!rows.targets.empty()) shuffled.targets.push_back(rows.targets[row]);
    }
    EXPECT_EQ(sums_of(problem, rows).counts(), sums_of(problem, shuffled).counts());
}

TEST_P(EveryProblem, NoRowsGiveNoMetrics) {
    const Problem problem = GetParam();
    const auto json = MetricSums(problem).finish().to_json(problem.task);
    EXPECT_EQ(json["rows"], 0);
    for (const std::string& name : metric_names(problem.task)) EXPECT_TRUE(json[name].is_null()) << name;
}

TEST_P(EveryProblem, SumsOfAnotherLengthAreRefused) {
    const Problem problem = GetParam();
    const MetricSums sums(problem);
    auto counts = sums.counts();
    counts.push_back(0);
    EXPECT_THROW((void)MetricSums::from_sums(problem, counts, sums.numbers()), RuntimeError);
}

TEST(Metrics, ManyClassesGiveTheSameMetricsWithoutTheConfusionMatrix) {
    // 64 classes keep every pair, 65 do not; the last class of 65 never occurs and is never predicted.
    const Problem small = classification(64), large = classification(65);
    const Rows rows = random_rows(small, 2000, 4);
    Rows wider{.outputs = {}, .labels = rows.labels, .targets = {}};
    for (std::size_t row = 0; row < rows.labels.size(); ++row) {
        wider.outputs.insert(wider.outputs.end(), rows.outputs.begin() + row * 64, rows.outputs.begin() + (row + 1) * 64);
        wider.outputs.push_back(-std::numeric_limits<float>::infinity());
    }
    const MetricSums with = sums_of(small, rows), without = sums_of(large, wider);
    ASSERT_TRUE(with.has_confusion());
    ASSERT_FALSE(without.has_confusion());
    for (const std::string& name : metric_names(Task::classification))
        EXPECT_EQ(with.finish().value(name), without.finish().value(name)) << name;
}

TEST(Metrics, AreaUnderRocIsTheRankStatisticWhenScoresLieInDifferentBins) {
    // 400 logits on a grid that is coarser than the bins around zero; ties within the grid share a bin.
    const Random random(5, Purpose::partition);
    std::vector<float> scores;
    std::vector<std::int32_t> labels;
    for (std::uint64_t i = 0; i < 400; ++i) {
        labels.push_back(static_cast<std::int32_t>(random.below(3 * i, 3) == 0));
        scores.push_back(static_cast<float>(random.below(3 * i + 1, 200) + (labels.back() == 1 ? 20 : 0)) / 100.0F - 1.0F);
    }
    double in_order = 0, pairs = 0;
    for (std::size_t p = 0; p < scores.size(); ++p) {
        for (std::size_t n = 0; n < scores.size(); ++n) {
            if (labels[p] != 1 || labels[n] != 0) continue;
            pairs += 1;
            in_order += scores[p] > scores[n] ? 1 : scores[p] == scores[n] ? 0.5 : 0;
        }
    }
    const Metrics metrics = metrics_of(binary(), scores, labels);
    EXPECT_DOUBLE_EQ(*area_under_roc(scores, labels), in_order / pairs);
    EXPECT_DOUBLE_EQ(*metrics.auc, in_order / pairs);
    EXPECT_GT(*metrics.auc_error, 0);  // ties are undecided pairs
}

TEST(Metrics, AreaUnderRocIsWithinItsErrorForAnyScores) {
    for (const double spread : {1e-4, 1e-2, 1.0, 30.0, 1e5}) {
        Rows rows = random_rows(binary(), 3000, 6);
        for (float& output : rows.outputs) output = static_cast<float>(output * spread);
        const Metrics metrics = sums_of(binary(), rows).finish();
        const double exact = *area_under_roc(rows.outputs, rows.labels);
        EXPECT_LE(std::abs(*metrics.auc - exact), *metrics.auc_error + 1e-12) << spread;
        if (spread >= 1e-2 && spread <= 30) {
            EXPECT_LT(*metrics.auc_error, 5e-3) << spread;
        }
    }
}

TEST(Metrics, TwoClassLogitsHaveTheAreaOfTheirDifference) {
    const Rows rows = random_rows(binary(), 500, 7);
    Rows two{.outputs = {}, .labels = rows.labels, .targets = {}};
    for (const float logit : rows.outputs) two.outputs.insert(two.outputs.end(), {-0.5F * logit, 0.5F * logit});
    const Metrics one = sums_of(binary(), rows).finish(), other = sums_of(classification(2), two).finish();
    EXPECT_EQ(one.auc, other.auc);
    EXPECT_EQ(one.accuracy, other.accuracy);
    EXPECT_NEAR(*one.loss, *other.loss, 1e-12);
    EXPECT_NEAR(2 * *one.brier, *other.brier, 1e-12);  // both classes are off by the same distance
}

TEST(Metrics, OneClassOnlyHasNoArea) {
    const Metrics metrics = metrics_of(binary(), {0.1F, -2.0F}, {1, 1});
    EXPECT_FALSE(metrics.auc);
    EXPECT_FALSE(metrics.auc_error);
    EXPECT_FALSE(area_under_roc(std::vector<float>{0.1F, -2.0F}, std::vector<std::int32_t>{1, 1}));
    EXPECT_DOUBLE_EQ(*metrics.accuracy, 0.5);
    EXPECT_TRUE(metrics.to_json(Task::binary)["auc"].is_null());
}

TEST(Metrics, BinaryMetricsByHand) {
    // True positives 2, false positives 1, false negatives 1, true negatives 1. Probabilities: 3/4 four times as log 3, 1/4 as -log 3.
    const float z = std::log(3.0F);
    const Metrics metrics = metrics_of(binary(), {z, z, z, -z, -z}, {1, 1, 0, 1, 0});
    EXPECT_EQ(metrics.rows, 5U);
    EXPECT_DOUBLE_EQ(*metrics.accuracy, 3.0 / 5);
    EXPECT_DOUBLE_EQ(*metrics.f1, 2.0 * 2 / (2 * 2 + 1 + 1));
    EXPECT_DOUBLE_EQ(*metrics.balanced_accuracy, (2.0 / 3 + 1.0 / 2) / 2);
    EXPECT_NEAR(*metrics.loss, -(3 * std::log(0.75) + 2 * std::log(0.25)) / 5, 1e-7);
    EXPECT_NEAR(*metrics.brier, (3 * 0.0625 + 2 * 0.5625) / 5, 1e-7);
    // Bin of 3/4: three rows, two are 1. Bin of 1/4: two rows, one is 1. Gaps |2/3 - 3/4| * 3/5 + |1/2 - 1/4| * 2/5.
    EXPECT_NEAR(*metrics.calibration_error, (3 * std::abs(2.0 / 3 - 0.75) + 2 * 0.25) / 5, 1e-7);
    // Six pairs of a 1 above or beside a 0: 2 in order, 2 + 1 ties (z with z twice, -z with -z once), 1 in wrong order.
    EXPECT_DOUBLE_EQ(*metrics.auc, (2 + 0.5 * 3) / 6);
}

TEST(Metrics, ClassificationMetricsByHand) {
    // Probabilities 1/2, 1/4, 1/4 in every row; the predicted class is where log 2 stands.
    const float z = std::log(2.0F);
    const std::vector<float> outputs = {z, 0, 0, z, 0, 0, 0, z, 0, 0, z, 0};
    const std::vector<std::int32_t> labels = {0, 1, 1, 1};
    const Metrics metrics = metrics_of(classification(3), outputs, labels);
    EXPECT_DOUBLE_EQ(*metrics.accuracy, 0.75);
    EXPECT_DOUBLE_EQ(*metrics.balanced_accuracy, (1 + 2.0 / 3) / 2);         // class 2 does not occur
    EXPECT_DOUBLE_EQ(*metrics.f1, (2.0 / (1 + 2) + 2.0 * 2 / (3 + 2)) / 2);  // nor is it predicted
    EXPECT_NEAR(*metrics.loss, (3 * std::log(2) + std::log(4)) / 4, 1e-7);
    EXPECT_NEAR(*metrics.calibration_error, 0.25, 1e-7);  // sure by half, right in three of four
    EXPECT_NEAR(*metrics.brier, (3 * (0.25 + 2.0 / 16) + (0.25 + 9.0 / 16 + 1.0 / 16)) / 4, 1e-7);
    EXPECT_FALSE(metrics.auc);
    EXPECT_EQ(metrics.weighted_loss, metrics.loss);
}

TEST(Metrics, EqualLogitsPredictTheFirstClassAndZeroPredictsNo) {
    EXPECT_DOUBLE_EQ(*metrics_of(classification(3), {1, 1, 1}, {0}).accuracy, 1);
    EXPECT_DOUBLE_EQ(*metrics_of(binary(), {0}, {0}).accuracy, 1);
}

TEST(Metrics, ClassWeightsChangeTheWeightedLossOnly) {
    const Rows rows = random_rows(binary(), 200, 8);
    const Metrics plain = sums_of(binary(), rows).finish();
    const std::vector<float> weights = {0.5F, 3.0F};
    const Metrics weighted = sums_of(binary(), rows, weights).finish();
    EXPECT_EQ(plain.loss, weighted.loss);
    EXPECT_EQ(plain.weighted_loss, plain.loss);
    double sum = 0, weight = 0;
    for (std::size_t row = 0; row < 200; ++row) {
        const bool one = rows.labels[row] == 1;
        const double z = rows.outputs[row];
        sum += (one ? 3.0 : 0.5) * std::log1p(std::exp(one ? -z : z));
        weight += one ? 3.0 : 0.5;
    }
    EXPECT_NEAR(*weighted.weighted_loss, sum / weight, 1e-12);
}

TEST(Metrics, HugeLogitsStayFinite) {
    const Metrics binary_metrics = metrics_of(binary(), {1e30F, -1e30F, 1e30F}, {1, 0, 0});
    EXPECT_DOUBLE_EQ(*binary_metrics.loss, static_cast<double>(1e30F) / 3);
    EXPECT_DOUBLE_EQ(*binary_metrics.auc, 0.75);
    const Metrics class_metrics = metrics_of(classification(2), {1e30F, -1e30F}, {0});
    EXPECT_DOUBLE_EQ(*class_metrics.loss, 0);
}

TEST(Metrics, NotANumberShowsInTheLossAndNowhereCrashes) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (const Problem& problem : {binary(), classification(2), classification(10)}) {
        const Metrics metrics = metrics_of(problem, std::vector<float>(problem.outputs(), nan), {1});
        EXPECT_TRUE(std::isnan(*metrics.loss));
        EXPECT_TRUE(metrics.to_json(problem.task)["loss"].is_null());
    }
}

TEST(Metrics, RegressionMetricsByHand) {
    MetricSums sums(regression());
    sums.add(std::vector<float>{1, 2, 5}, std::vector<float>{1, 3, 3});
    const Metrics metrics = sums.finish();
    EXPECT_DOUBLE_EQ(*metrics.mse, 5.0 / 3);
    EXPECT_EQ(metrics.loss, metrics.mse);
    EXPECT_DOUBLE_EQ(*metrics.rmse, std::sqrt(5.0 / 3));
    EXPECT_DOUBLE_EQ(*metrics.mae, 1);
    // Targets 1, 3, 3 lie around 7/3 with squares 16/9 + 4/9 + 4/9 = 8/3.
    EXPECT_NEAR(*metrics.r2, 1 - 5 / (8.0 / 3), 1e-12);
    MetricSums equal(regression());
    equal.add(std::vector<float>{1, 2}, std::vector<float>{0.1F, 0.1F});
    EXPECT_FALSE(equal.finish().r2);
}

TEST(Metrics, PredictingTheMeanHasR2Zero) {
    const Rows rows = random_rows(regression(), 100, 9);
    const double mean = std::accumulate(rows.targets.begin(), rows.targets.end(), 0.0) / 100;
    MetricSums sums(regression());
    sums.add(std::vector<float>(100, static_cast<float>(mean)), rows.targets);
    EXPECT_NEAR(*sums.finish().r2, 0, 1e-12 + 1e-6);  // the mean is rounded to a float
}

TEST(Metrics, UnknownNamesAreRefusedWithTheNearest) {
    EXPECT_THAT([] { (void)Metrics{}.value("acuracy"); },
                testing::ThrowsMessage<UsageError>(testing::HasSubstr("did you mean \"accuracy\"?")));
    EXPECT_TRUE(larger_is_better("auc"));
    EXPECT_FALSE(larger_is_better("loss"));
}

TEST(Spread, NamesTheWorstSiloByTheDirectionOfTheMetric) {
    const std::vector<std::optional<double>> values = {std::nullopt, 0.5, 0.9, 0.7, std::numeric_limits<double>::quiet_NaN()};
    const Spread accuracy = *spread_over_silos(values, true);
    EXPECT_EQ(accuracy.silos, 3U);
    EXPECT_DOUBLE_EQ(accuracy.mean, 0.7);
    EXPECT_DOUBLE_EQ(accuracy.min, 0.5);
    EXPECT_DOUBLE_EQ(accuracy.max, 0.9);
    EXPECT_NEAR(accuracy.deviation, std::sqrt(0.08 / 3), 1e-15);
    EXPECT_EQ(accuracy.worst, 1U);
    EXPECT_EQ(spread_over_silos(values, false)->worst, 2U);
    EXPECT_FALSE(spread_over_silos(std::vector<std::optional<double>>{std::nullopt}, true));
}

}  // namespace
}  // namespace silosum

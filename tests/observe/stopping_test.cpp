// When a run stops by itself, and that it remembers.
#include "observe/stopping.hpp"

#include <limits>

#include <gtest/gtest.h>

#include "observe/small_federation.hpp"
#include "support/message_of.hpp"

namespace silosum {
namespace {

EvaluationConfig usual() {
    EvaluationConfig config;
    config.target_metric = "accuracy";
    config.best_metric = "loss";
    return config;
}

struct Watched {
    SmallFederation small;
    std::vector<std::uint64_t> saved;  // rounds in which the model was the best so far
    Stopping* stopping = nullptr;

    explicit Watched(const EvaluationConfig& config, const SmallFederation::Settings& settings = {}) : small(settings) {
        auto& evaluation = small.observe_with<Evaluation>(config, *small.federation, std::nullopt);
        stopping =
            &small.observe_with<Stopping>(config, *small.federation, evaluation, [this](std::uint64_t round) { saved.push_back(round); });
    }
};

TEST(Stopping, TrainsAllRoundsWithoutARule) {
    Watched run(usual());
    const Outcome outcome = run.small.train(1, 5);
    EXPECT_EQ(outcome.rounds, 5U);
    EXPECT_EQ(outcome.stop_reason, "");
    EXPECT_FALSE(run.stopping->was_interrupted());
}

TEST(Stopping, StopsInTheRoundThatReachesTheTarget) {
    EvaluationConfig config = usual();
    config.target = 0.8;
    Watched run(config, {.lr = 0.05});
    const Outcome outcome = run.small.train(1, 200);
    EXPECT_LT(outcome.rounds, 200U);
    EXPECT_EQ(outcome.stop_reason.find("target: accuracy is 0."), 0U) << outcome.stop_reason;
    EXPECT_GE(*run.stopping->state().judged, 0.8);
    if (outcome.rounds == 1) return;
    // One round less has not reached it.
    Watched shorter(config, {.lr = 0.05});
    EXPECT_EQ(shorter.small.train(1, outcome.rounds - 1).stop_reason, "");
}

TEST(Stopping, ATargetOfALossIsReachedFromAbove) {
    EvaluationConfig config = usual();
    config.target_metric = "loss";
    config.target = 0.45;
    Watched run(config, {.lr = 0.05});
    EXPECT_LT(run.small.train(1, 200).rounds, 200U);
    EXPECT_LE(*run.stopping->state().judged, 0.45);
}

// A learning rate so small that float32 parameters stay as they are: nothing gets better after the first measurement.
TEST(Stopping, PatienceCountsMeasurementsWithoutABetterValidation) {
    EvaluationConfig config = usual();
    config.patience = 3;
    Watched run(config, {.lr = 1e-30, .optimizer = "sgd"});
    const Outcome outcome = run.small.train(1, 200);
    EXPECT_EQ(outcome.rounds, 4U);
    EXPECT_EQ(outcome.stop_reason, "patience: validation loss was best in round 1, 3 measurements ago");
    EXPECT_EQ(run.saved, std::vector<std::uint64_t>{1});
}

TEST(Stopping, PatienceGoesOnCountingAfterARestart) {
    EvaluationConfig config = usual();
    config.patience = 5;
    Watched before(config, {.lr = 1e-30, .optimizer = "sgd"});
    before.small.train(1, 3);
    Watched after(config, {.lr = 1e-30, .optimizer = "sgd"});
    after.stopping->set_state(before.stopping->state());
    EXPECT_EQ(after.small.train(4, 200).rounds, 6U);
    EXPECT_TRUE(after.saved.empty());
}

// One class only among the rows that are measured: the area under the ROC curve has no value there.
TEST(Stopping, AMetricWithoutAValueNeitherCountsNorStops) {
    EvaluationConfig config = usual();
    config.patience = 2;
    config.best_metric = "auc";
    config.target_metric = "auc";
    config.target = 0.5;
    Watched run(config, {.lr = 1e-30, .optimizer = "sgd", .one_class_in_validation = true});
    EXPECT_EQ(run.small.train(1, 6).rounds, 6U);
    EXPECT_TRUE(run.saved.empty());
    EXPECT_FALSE(run.stopping->state().judged.has_value());
}

TEST(Stopping, TheBestModelIsSavedWheneverValidationImproves) {
    Watched run(usual());
    run.small.train(1, 6);
    EXPECT_EQ(run.saved.front(), 1U);
    EXPECT_EQ(run.saved.back(), run.stopping->state().best_round);
}

TEST(Stopping, ARunThatWasStoppedIsStillStoppedAfterARestart) {
    EvaluationConfig config = usual();
    config.target = 0.8;
    Watched run(config);
    StoppingState state = run.stopping->state();
    state.judged = 0.85;
    run.stopping->set_state(state);
    EXPECT_EQ(run.stopping->reason_to_stop(), "target: accuracy is 0.85, eval.target is 0.8");

    config.target = 0.9;  // wants more than before
    Watched again(config);
    again.stopping->set_state(state);
    EXPECT_EQ(again.stopping->reason_to_stop(), "");
}

TEST(Stopping, MeasurementsOfOtherMetricsSayNothing) {
    EvaluationConfig config = usual();
    config.target = 0.8;
    config.patience = 2;
    Watched run(config);
    run.stopping->set_state(
        {.best_metric = "accuracy", .best = 0.9, .best_round = 3, .without_better = 7, .judged_metric = "f1", .judged = 0.9});
    EXPECT_EQ(run.stopping->reason_to_stop(), "");
    EXPECT_FALSE(run.stopping->state().best.has_value());
}

TEST(Stopping, WhatIsNotANumberReachesNothing) {
    EvaluationConfig config = usual();
    config.target_metric = "loss";
    config.target = 0.01;
    Watched run(config);
    StoppingState state = run.stopping->state();
    for (const double value : {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
        state.judged = value;
        run.stopping->set_state(state);
        EXPECT_EQ(run.stopping->reason_to_stop(), "");
    }
}

TEST(Stopping, RulesThatCannotWorkAreRefused) {
    EvaluationConfig config = usual();
    config.patience = 2;
    EXPECT_NE(message_of<UsageError>([&] { Watched run(config, {.validation_rows = 0}); }).find("no silo has validation rows"),
              std::string::npos);
    config = usual();
    config.target = 0.5;
    config.target_metric = "rmse";
    EXPECT_NE(
        message_of<UsageError>([&] { Watched run(config); }).find("eval.target_metric = rmse: a classification task of 2 classes has"),
        std::string::npos);
    config = usual();
    config.best_metric = "r2";
    EXPECT_NE(message_of<UsageError>([&] { Watched run(config); }).find("eval.best_metric = r2"), std::string::npos);
}

}  // namespace
}  // namespace silosum

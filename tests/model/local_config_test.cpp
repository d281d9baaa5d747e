// The section `local`: defaults, keys that exclude each other, and what it says to the optimiser and the schedule.
#include "model/local_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace silosum {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Loaded {
    LocalConfig config;
    Options options;
    std::vector<std::string> problems;

    explicit Loaded(const std::vector<std::string>& flags) {
        config.add_to(options);
        problems = options.load("", flags);
    }
};

TEST(LocalConfig, DefaultsArePlainSgdForOneEpoch) {
    const Loaded loaded({});
    EXPECT_THAT(loaded.problems, IsEmpty());
    EXPECT_EQ(loaded.config.epochs, 1U);
    EXPECT_EQ(loaded.config.batch_size, 32U);
    EXPECT_EQ(loaded.config.lr, 0.01);
    EXPECT_EQ(loaded.config.optimizer_settings().state_vectors(), 0U);
    EXPECT_FALSE(loaded.config.keeps_state());
    EXPECT_EQ(loaded.config.learning_rates(10).rate(5), 0.01);
}

TEST(LocalConfig, StepsOfARoundFollowFromShardAndBatch) {
    EXPECT_EQ(Loaded({}).config.batch_size_for(5), 5U);
}

TEST(LocalConfig, KeysThatDoNotActAreRefused) {
    const auto problem = [](const std::vector<std::string>& flags, const std::string& part) {
        EXPECT_THAT(Loaded(flags).problems, ElementsAre(HasSubstr(part)));
    };
    problem({"--local.epochs", "2", "--local.steps", "5"}, "local.epochs is not used with local.steps = 5");
    problem({"--local.gamma", "0.9"}, "local.gamma is not used with local.schedule = constant");
    problem({"--local.step_rounds", "5", "--local.schedule", "exponential"}, "local.step_rounds is not used");
    problem({"--local.lr_min", "0.001"}, "local.lr_min is not used");
    problem({"--local.beta1", "0.8"}, "local.beta1 is not used with local.optimizer = sgd");
    problem({"--local.momentum", "0.9", "--local.optimizer", "adam"}, "local.momentum is not used with local.optimizer = adam");
    problem({"--local.state", "keep"}, "local.state is not used with plain SGD");
    problem({"--local.nesterov", "true"}, "needs local.momentum above 0");
    problem({"--local.schedule", "cosine", "--local.lr_min", "0.5"}, "must not be above local.lr");
    problem({"--local.momentum", "1"}, "local.momentum = 1: must be in range [0, 1)");
    problem({"--local.lr", "0"}, "local.lr = 0");
    problem({"--local.optimizer", "adm"}, "did you mean \"adam\"");
}

TEST(LocalConfig, SettingsReachTheOptimiser) {
    const auto sgd = Loaded({"--local.momentum", "0.9", "--local.nesterov", "true", "--local.weight_decay", "0.001", "--local.clip_norm",
                             "2", "--local.state", "keep"});
    EXPECT_THAT(sgd.problems, IsEmpty());
    EXPECT_TRUE(sgd.config.keeps_state());
    EXPECT_TRUE(sgd.config.optimizer_settings().nesterov);
    EXPECT_EQ(sgd.config.optimizer_settings().momentum, 0.9);
    EXPECT_EQ(sgd.config.optimizer_settings().weight_decay, 0.001);
    EXPECT_EQ(sgd.config.optimizer_settings().clip_norm, 2);
    const auto adam = Loaded({"--local.optimizer", "adam", "--local.beta2", "0.99", "--local.epsilon", "1e-7"});
    EXPECT_THAT(adam.problems, IsEmpty());
    EXPECT_EQ(adam.config.optimizer_settings().state_vectors(), 2U);
    EXPECT_EQ(adam.config.optimizer_settings().beta2, 0.99);
    EXPECT_EQ(adam.config.optimizer_settings().epsilon, 1e-7);
}

TEST(LocalConfig, ScheduleReachesTheRates) {
    const auto step = Loaded({"--local.lr", "1", "--local.schedule", "step", "--local.gamma", "0.1", "--local.step_rounds", "3"});
    EXPECT_DOUBLE_EQ(step.config.learning_rates(10).rate(3), 0.1);
    const auto cosine = Loaded({"--local.lr", "1", "--local.schedule", "cosine", "--local.lr_min", "0.5", "--local.warmup_rounds", "2"});
    EXPECT_DOUBLE_EQ(cosine.config.learning_rates(10).rate(10), 0.5);
    EXPECT_DOUBLE_EQ(cosine.config.learning_rates(10).rate(0), 0.5);
}

}  // namespace
}  // namespace silosum

// Learning rates by round against their closed forms.
#include "model/schedule.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

namespace silosum {
namespace {

TEST(Schedule, ConstantStays) {
    const Schedule schedule{.lr = 0.3};
    for (const std::uint64_t round : {0, 1, 1000}) EXPECT_EQ(schedule.rate(round), 0.3);
}

TEST(Schedule, ExponentialIsAGeometricSeries) {
    const Schedule schedule{.kind = Schedule::Kind::exponential, .lr = 0.5, .gamma = 0.99};
    EXPECT_EQ(schedule.rate(0), 0.5);
    EXPECT_NEAR(schedule.rate(100), 0.5 * std::exp(100 * std::log(0.99)), 1e-15);
    EXPECT_NEAR(schedule.rate(8) / schedule.rate(7), 0.99, 1e-15);
}

TEST(Schedule, StepFallsEveryFewRounds) {
    const Schedule schedule{.kind = Schedule::Kind::step, .lr = 1, .gamma = 0.5, .step_rounds = 10};
    EXPECT_EQ(schedule.rate(9), 1);
    EXPECT_EQ(schedule.rate(10), 0.5);
    EXPECT_EQ(schedule.rate(39), 0.125);
}

TEST(Schedule, CosineGoesFromLrToLrMin) {
    const Schedule schedule{.kind = Schedule::Kind::cosine, .lr = 1, .lr_min = 0.2, .rounds = 60};
    EXPECT_EQ(schedule.rate(0), 1);
    EXPECT_NEAR(schedule.rate(20), 0.2 + 0.8 * 0.75, 1e-15);  // cos(pi / 3) = 1/2
    EXPECT_NEAR(schedule.rate(30), 0.6, 1e-15);
    EXPECT_NEAR(schedule.rate(60), 0.2, 1e-15);
    EXPECT_NEAR(schedule.rate(75), 0.2, 1e-15);
}

TEST(Schedule, WarmupRisesLinearlyToTheSchedule) {
    const Schedule schedule{.kind = Schedule::Kind::exponential, .lr = 1, .gamma = 0.5, .warmup_rounds = 4};
    EXPECT_EQ(schedule.rate(0), 0.25);
    EXPECT_EQ(schedule.rate(1), 0.25);  // 2/4 of 1/2
    EXPECT_EQ(schedule.rate(3), 0.125);
    EXPECT_EQ(schedule.rate(4), 0.0625);
}

TEST(Schedule, NamesAreKnown) {
    for (const auto& name : schedule_names()) EXPECT_EQ(schedule_names()[static_cast<std::size_t>(schedule_from_name(name))], name);
    EXPECT_THAT([] { (void)schedule_from_name("cosin"); }, testing::ThrowsMessage<UsageError>(testing::HasSubstr("cosine")));
}

}  // namespace
}  // namespace silosum

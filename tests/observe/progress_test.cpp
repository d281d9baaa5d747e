// What a person reads while a run goes on.
#include "observe/progress.hpp"

#include <gtest/gtest.h>

namespace silosum {
namespace {

std::string shown(ProgressStyle style, const nlohmann::ordered_json& record, std::uint64_t number, std::uint64_t total,
                  const std::string& stop_reason = "") {
    Progress progress(style, number);
    const Round round{.number = number, .total = total, .participants = {}};
    const Aggregate nothing;
    PhaseClock clock;
    RoundReport report{.round = round, .aggregate = nothing, .clock = clock, .record = record, .stop_reason = stop_reason};
    testing::internal::CaptureStdout();
    progress.after_round(report);
    return testing::internal::GetCapturedStdout();
}

const nlohmann::ordered_json measured{{"train_loss", 0.25}, {"test", {{"overall", {{"accuracy", 0.5}, {"loss", 0.75}}}}}};

TEST(Progress, LinesTellRoundLossesAccuracyAndTimeLeft) {
    const std::string text = shown(ProgressStyle::lines, measured, 3, 10);
    EXPECT_EQ(text.find("round 3/10  train loss 0.2500  test accuracy 0.5000 loss 0.7500  "), 0U) << text;
    EXPECT_NE(text.find(" s left\n"), std::string::npos) << text;
}

TEST(Progress, TheCommonTestComesBeforeTheSilosOwnRows) {
    nlohmann::ordered_json record = measured;
    record["common_test"] = {{"accuracy", 0.875}};
    const std::string text = shown(ProgressStyle::lines, record, 3, 10);
    EXPECT_NE(text.find("common test accuracy 0.8750"), std::string::npos) << text;
    EXPECT_EQ(text.find("0.5000"), std::string::npos) << text;
}

TEST(Progress, NoTimeIsLeftWhenTheRunEnds) {
    EXPECT_EQ(shown(ProgressStyle::lines, measured, 10, 10).find("left"), std::string::npos);
    EXPECT_EQ(shown(ProgressStyle::lines, measured, 3, 10, "target: reached").find("left"), std::string::npos);
}

TEST(Progress, LinesAreSilentWhereNothingWasMeasured) {
    EXPECT_EQ(shown(ProgressStyle::lines, {{"train_loss", 0.25}}, 3, 10), "");
    EXPECT_NE(shown(ProgressStyle::lines, {{"train_loss", 0.25}}, 10, 10), "");
}

TEST(Progress, LiveOverwritesOneLineUntilTheEnd) {
    const std::string during = shown(ProgressStyle::live, measured, 3, 10);
    EXPECT_EQ(during.find('\r'), 0U);
    EXPECT_EQ(during.find('\n'), std::string::npos);
    EXPECT_EQ(shown(ProgressStyle::live, measured, 10, 10).back(), '\n');
}

TEST(Progress, NonePrintsNothing) {
    EXPECT_EQ(shown(ProgressStyle::none, measured, 10, 10), "");
}

// A loss that is not finite is null in the record.
TEST(Progress, LeavesOutWhatIsNotANumber) {
    const std::string text =
        shown(ProgressStyle::lines, {{"train_loss", nullptr}, {"test", {{"overall", {{"accuracy", 0.5}, {"loss", nullptr}}}}}}, 3, 10);
    EXPECT_EQ(text.find("round 3/10  test accuracy 0.5000  "), 0U) << text;
}

TEST(DurationText, ReadsWell) {
    EXPECT_EQ(duration_text(0.04), "0.0 s");
    EXPECT_EQ(duration_text(4.25), "4.2 s");
    EXPECT_EQ(duration_text(59.96), "1 min 00 s");
    EXPECT_EQ(duration_text(185), "3 min 05 s");
    EXPECT_EQ(duration_text(3599.7), "1 h 00 min");
    EXPECT_EQ(duration_text(3725), "1 h 02 min");
}

}  // namespace
}  // namespace silosum

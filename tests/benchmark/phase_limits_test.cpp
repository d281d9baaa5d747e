// What phases cannot do without is what the round's work is, and shares follow from it and from the machine.
#include "benchmark/phase_limits.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "planted_machine.hpp"

namespace silosum {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;

constexpr double tiny = 1e-12;  // rounding of a few products

const MachineLimits limits{.memory_reads = 4e9,
                           .memory_writes = 2e9,
                           .memory_copies = 3e9,
                           .stream = 5e9,
                           .hash = 1e9,
                           .tag = 2e9,
                           .machines = 1,
                           .cores = 2,
                           .cached_bytes = 1 << 20};

std::vector<std::string> names_of(const auto& phases) {
    std::vector<std::string> names;
    for (const auto& [phase, value] : phases) names.push_back(phase);
    return names;
}

double of(const Work& work, Kind kind) {
    return work[static_cast<std::size_t>(kind)];
}

MachineLimits scaled(MachineLimits faster, double factor) {
    for (double* const rate :
         {&faster.memory_reads, &faster.memory_writes, &faster.memory_copies, &faster.stream, &faster.hash, &faster.tag}) {
        *rate *= factor;
    }
    return faster;
}

TEST(PhaseLimits, NeedsAreTheWorkOfTheRound) {
    for (const auto& round : rounds_on({1, 2, 4})) {
        SCOPED_TRACE(round.name);
        auto needs = phase_needs_of(round.shape);
        for (const auto& [phase, work] : work_of(round.shape)) {
            SCOPED_TRACE(phase);
            EXPECT_EQ(needs[phase].streamed, of(work, Kind::stream));
            EXPECT_EQ(needs[phase].hashed, of(work, Kind::hash));
            EXPECT_EQ(needs[phase].tagged, of(work, Kind::tag));
            EXPECT_GE(needs[phase].written, 8 * of(work, Kind::decode));
        }
    }
}

TEST(PhaseLimits, PhasesOfWaitsMessagesAndKeysHaveNone) {
    EXPECT_THAT(names_of(phase_needs_of(planted_shape(4, 4, 1000000, false))), ElementsAre("decode", "encode"));
    EXPECT_THAT(names_of(phase_needs_of(planted_shape(4, 4, 1000000, true))),
                ElementsAre("decode", "encode", "hash", "mask", "tag", "unmask"));
    EXPECT_THAT(names_of(phase_needs_of(planted_shape(4, 4, 1000000, false, 0, "messages"))), ElementsAre("decode", "encode"));
    EXPECT_THAT(names_of(phase_needs_of(planted_shape(1, 4, 1000000, true))),
                ElementsAre("decode", "encode", "hash", "mask", "tag", "unmask"));
}

// Four updates and the model they are differences to are read once, the mean is written.
TEST(PhaseLimits, UpdatesThatAreReadWhereTheyLiePassMemoryOnce) {
    const auto needs = phase_needs_of(planted_shape(4, 4, 1000, false));
    EXPECT_EQ(needs.at("encode").read, (4 + 1) * 4000);
    EXPECT_EQ(needs.at("encode").written, 0);
    EXPECT_EQ(needs.at("decode").written, 8000);
}

// Two silos a rank: the words of the first are written, those of the second added to them.
TEST(PhaseLimits, WordsOfSeveralSilosPassMemoryAsWell) {
    const auto needs = phase_needs_of(planted_shape(2, 4, 1000, false));
    EXPECT_EQ(needs.at("encode").read, 4 * 4000 + 2 * 4000 + 2 * 4000);
    EXPECT_EQ(needs.at("encode").written, 4 * 4000);
}

TEST(PhaseLimits, TheSlowestOfWhatOverlapsIsTheLimit) {
    const double parameters = 1000000;
    const auto plain = least_seconds(planted_shape(4, 4, 1000000, false), limits);
    EXPECT_THAT(plain.at("encode"), DoubleNear(5 * 4 * parameters / 4e9, tiny));
    EXPECT_THAT(plain.at("decode"), DoubleNear(8 * parameters / 2e9, tiny));
    const auto secure = least_seconds(planted_shape(4, 4, 1000000, true), limits);
    EXPECT_THAT(secure.at("mask"), DoubleNear(4 * 4 * 4 * parameters / (2 * 5e9), tiny));
    EXPECT_THAT(secure.at("hash"), DoubleNear(4 * parameters / (2 * 1e9), tiny));
    EXPECT_THAT(secure.at("tag"), DoubleNear(4 * 4 * parameters / (2 * 2e9), tiny));
}

TEST(PhaseLimits, SharesScaleWithTimeAndWithTheMachine) {
    const RoundShape shape = planted_shape(4, 4, 1000000, true);
    std::map<std::string, double> measured{{"keys", 0.5}, {"wait", 0.5}};
    for (const auto& [phase, least] : least_seconds(shape, limits)) measured[phase] = 2 * least;
    const auto half = shares_of_limits(measured, shape, limits, 1);
    const auto all = shares_of_limits(measured, shape, limits, 2);
    const auto quarter = shares_of_limits(measured, shape, scaled(limits, 2), 1);
    EXPECT_EQ(half.size(), measured.size() - 2) << "keys and wait have no limit";
    for (const auto& [phase, share] : half) {
        EXPECT_THAT(share, DoubleNear(0.5, tiny)) << phase;
        EXPECT_THAT(all.at(phase), DoubleNear(1, tiny)) << phase;
        EXPECT_THAT(quarter.at(phase), DoubleNear(0.25, tiny)) << phase;
    }
    EXPECT_TRUE(shares_of_limits({{"mask", 0}}, shape, limits, 1).empty()) << "a phase that takes no time";
}

TEST(PhaseLimits, MemoryIsNoLimitOfVectorsThatStayInTheCaches) {
    EXPECT_TRUE(least_seconds(planted_shape(4, 4, 1000, false), limits).empty());
    EXPECT_THAT(names_of(least_seconds(planted_shape(4, 4, 1000, true), limits)), ElementsAre("hash", "mask", "tag", "unmask"));
    EXPECT_FALSE(limits.passes_memory(2 * limits.cached_bytes - 1));
    EXPECT_TRUE(limits.passes_memory(2 * limits.cached_bytes));
}

TEST(PhaseLimits, TwiceTheMachinesDoTwiceTheSilosInTheSameTime) {
    const BenchmarkSetting setting{.parameters = 1000000, .silos = 4};
    BenchmarkSetting twice = setting;
    twice.silos = 8;
    MachineLimits of_two = limits;
    of_two.machines = 2;
    of_two.cores = 4;
    const auto of_one = least_seconds(shape_of(setting, 32, true, 4, {.machines = 1, .cores = 2}), limits);
    EXPECT_EQ(least_seconds(shape_of(twice, 32, true, 8, {.machines = 2, .cores = 2}), of_two).at("encode"), of_one.at("encode"));
    EXPECT_EQ(least_seconds(shape_of(twice, 32, true, 8, {.machines = 2, .cores = 2}), limits).at("encode"), 2 * of_one.at("encode"))
        << "two nodes that share one machine";
}

}  // namespace
}  // namespace silosum

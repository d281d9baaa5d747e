// What is fitted to rounds of a machine with known rates gives these rates, and foretells rounds of it.
#include "benchmark/scale_model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "benchmark/simulation.hpp"
#include "planted_machine.hpp"

namespace silosum {
namespace {

using testing::HasSubstr;

TEST(ScaleModel, PlantedRatesAreFound) {
    const auto model = ScaleModel::fit(rounds_on({1, 2, 4, 8}));
    for (const auto& row : kind_list()) {
        if (!model.has_measured(row.kind)) continue;
        EXPECT_NEAR(model.seconds_of(row.kind), planted_seconds(row.kind), 1e-5 * planted_seconds(row.kind)) << row.name;
    }
    EXPECT_FALSE(model.has_measured(Kind::link_bytes));
    EXPECT_LT(model.spread(), 1e-6);
}

TEST(ScaleModel, RoundsThatWereFittedAndThoseOfMoreRanksAreForetold) {
    const auto rounds = rounds_on({1, 2, 4, 8});
    const auto model = ScaleModel::fit(rounds);
    for (const auto& round : rounds) EXPECT_NEAR(model.predict(round.shape).total.value, round.seconds, 1e-6 * round.seconds) << round.name;
    const auto held_out = ScaleModel::hold_out(rounds);
    ASSERT_FALSE(held_out.empty());
    for (const auto& round : held_out) EXPECT_NEAR(round.error(), 0, 1e-5) << round.name;
    EXPECT_THAT(held_out.front().name, HasSubstr("8 ranks"));
    EXPECT_TRUE(ScaleModel::hold_out(rounds_on({4})).empty());
}

TEST(ScaleModel, IntervalsGrowWithTheDistance) {
    auto model = ScaleModel::fit(rounds_on({1, 2, 4, 8}));
    model.set_doubling(0.1);
    RoundShape shape = planted_shape(8, 8, 1000000, true);
    double wide = 0;
    for (const int ranks : {8, 16, 64, 256}) {
        shape.ranks = shape.cores = ranks;
        const auto prediction = model.predict(shape);
        EXPECT_DOUBLE_EQ(prediction.beyond.at("ranks"), ranks / 8.0);
        EXPECT_DOUBLE_EQ(prediction.beyond.at("cores"), ranks / 2.0);
        const double now = (prediction.total.high - prediction.total.value) / prediction.total.value;
        EXPECT_GT(now, wide - 1e-12);
        EXPECT_LE(prediction.total.low, prediction.total.value);
        wide = now;
    }
    EXPECT_NEAR(wide, 2 * 0.1 * (5 + 7), 0.01) << "five doublings of ranks and seven of cores, a tenth each, twice that either way";
}

TEST(ScaleModel, MoreWorkTakesMoreTime) {
    const auto model = ScaleModel::fit(rounds_on({1, 2, 4, 8}));
    for (const bool is_secure : {false, true}) {
        double before = 0;
        for (const std::size_t parameters : {1000, 100000, 10000000}) {
            const double now = model.predict(planted_shape(4, 8, parameters, is_secure)).total.value;
            EXPECT_GT(now, before);
            before = now;
        }
        before = 0;
        for (const std::uint32_t silos : {8, 16, 64, 256, 1024, 4096}) {
            const double now = model.predict(planted_shape(4, silos, 100000, is_secure)).total.value;
            EXPECT_GT(now, before) << silos;
            before = now;
        }
    }
}

// What a rank does for each of its silos waits for the rank with most; what it does for all silos is the same everywhere.
TEST(ScaleModel, UnevenSilosCostWhatTheBusiestRankDoes) {
    const auto model = ScaleModel::fit(rounds_on({1, 2, 4, 8}));
    RoundShape shape = planted_shape(16, 16, 100000, true);
    shape.cores = 16;
    shape.cached_bytes = 1e9;  // what all cores of a machine share has no busiest
    RoundShape uneven = shape;
    uneven.silos = 17;
    uneven.plan = plan_of_silos(17, {.graph = "complete", .corrupt = 0.05, .dropouts = 0.05});
    RoundShape twice = shape;
    twice.silos = 32;
    twice.plan = uneven.plan;  // as many neighbours
    const auto keys = [&](const RoundShape& of) { return model.predict(of).phases.at("keys").value; };
    EXPECT_GT(keys(uneven), 1.5 * keys(shape));
    EXPECT_LT(keys(uneven), keys(twice));
    EXPECT_NEAR(model.predict(uneven).phases.at("encode").value, model.predict(twice).phases.at("encode").value, 1e-9);
    EXPECT_NEAR(simulate_round(model, {.shape = uneven}, 1).sum_s, model.predict(uneven).total.value,
                0.1 * model.predict(uneven).total.value);
}

TEST(ScaleModel, OnlyVectorsThatCachesDoNotHoldPassMemory) {
    const auto passed = [](const RoundShape& shape) {
        double bytes = 0;
        for (const auto& [phase, work] : work_of(shape)) bytes += work[static_cast<std::size_t>(Kind::memory)];
        return bytes;
    };
    for (const bool is_secure : {false, true}) {
        for (const std::uint32_t silos : {4U, 12U}) {
            RoundShape shape = planted_shape(4, silos, 1 << 20, is_secure);
            shape.cached_bytes = 1e9;
            EXPECT_EQ(passed(shape), 0);
            double more = 0;
            for (const double cached : {5e7, 4e7, 3e7, 2e7, 1e7, 0.0}) {
                shape.cached_bytes = cached;
                EXPECT_GE(passed(shape), more);
                more = passed(shape);
            }
            EXPECT_GE(more, (silos + 1 + 2) * 4.0 * (1 << 20));  // each update, the model and a mean in double
        }
    }
}

// The rest of a phase is shared out among more cores.
TEST(ScaleModel, MoreCoresDoNotWidenTheBus) {
    const auto model = ScaleModel::fit(rounds_on({1, 2, 4, 8}));
    RoundShape shape = planted_shape(16, 16, 1000000, false);
    double bytes = 0;
    double others = 0;
    for (const auto& row : kind_list()) {
        const double amount = work_of(shape).at("encode")[static_cast<std::size_t>(row.kind)];
        if (row.kind == Kind::bus) bytes = amount;
        if (row.kind != Kind::bus) others += amount * planted_seconds(row.kind);
    }
    ASSERT_GT(bytes, 0);
    for (const int cores : {1, 2, 16}) {
        shape.cores = cores;
        const double expected = bytes * planted_seconds(Kind::bus) + others / cores;
        EXPECT_NEAR(model.predict(shape).phases.at("encode").value, expected, 1e-3 * expected) << cores;
    }
}

TEST(ScaleModel, WhatCoresShareIsUnknownToAFitOnOneNumberOfThem) {
    const auto model = ScaleModel::fit(rounds_on({2, 4, 8}));
    EXPECT_FALSE(model.has_measured(Kind::bus));
    EXPECT_TRUE(ScaleModel::fit(rounds_on({1, 2, 4})).has_measured(Kind::bus));
    RoundShape shape = planted_shape(16, 16, 1000000, false);
    EXPECT_EQ(model.problem_with(shape), "");
    shape.cores = 16;
    EXPECT_THAT(model.problem_with(shape), testing::HasSubstr("does not know what 16 cores take from each other"));
    shape.cached_bytes = 1e9;
    EXPECT_EQ(model.problem_with(shape), "");
}

// With silos on some of the ranks only, the pipeline waits for these; but not for the memory that all share.
TEST(ScaleModel, PlayedRoundsOfFewSilosShareTheBusToo) {
    const auto model = ScaleModel::fit(rounds_on({1, 2, 4, 8}));
    RoundShape shape = planted_shape(16, 8, 1000000, true);
    shape.cores = 16;
    for (const double cached : {1e9, 0.0}) {
        shape.cached_bytes = cached;
        const double foretold = model.predict(shape).total.value;
        EXPECT_NEAR(simulate_round(model, {.shape = shape}, 1).sum_s, foretold, 0.1 * foretold) << cached;
    }
}

// Twice the ranks on the same cores take one step more to meet, each of twice as many.
TEST(ScaleModel, MeetingsTakeAsManyStepsAsTheRanksDouble) {
    const auto amount = [](int ranks, int cores, const char* phase, Kind kind) {
        RoundShape shape = planted_shape(ranks, static_cast<std::uint32_t>(ranks), 1 << 20, false);
        shape.cores = cores;
        return work_of(shape).at(phase)[static_cast<std::size_t>(kind)];
    };
    EXPECT_EQ(amount(1, 2, "idle", Kind::pause), 0);
    EXPECT_EQ(amount(8, 8, "wait", Kind::meeting), 8 * 3);
    EXPECT_EQ(amount(16, 8, "wait", Kind::meeting), 16 * 4);
    EXPECT_EQ(amount(16, 16, "idle", Kind::pause), 3 * 4);
    EXPECT_EQ(amount(16, 4, "idle", Kind::pause), 3 * 4 * 4) << "four ranks a core take turns";
}

TEST(ScaleModel, AFitOfSmallVectorsRefusesLargeOnes) {
    auto rounds = rounds_on({1, 2, 4});
    std::erase_if(rounds, [](const MeasuredRound& round) { return round.shape.parameters > 10000; });
    const auto model = ScaleModel::fit(rounds);
    EXPECT_EQ(model.problem_with(planted_shape(4, 4, 10000, false)), "");
    EXPECT_EQ(
        model.problem_with(planted_shape(4, 4, 1 << 24, false)),
        "the fit has measured only rounds whose vectors the caches (3.8 MiB) hold all together, and knows nothing of memory; make one with "
        "--sizes 4M or larger");
}

TEST(ScaleModel, ALinkThatWasNotMeasuredMustBeGiven) {
    const auto model = ScaleModel::fit(rounds_on({1, 2, 4, 8}));
    RoundShape shape = planted_shape(8, 8, 1 << 20, false);
    shape.machines = 4;
    try {
        (void)model.predict(shape);
        FAIL() << "no link is known";
    } catch (const UsageError& error) {
        EXPECT_THAT(error.what(), HasSubstr("--link"));
    }
    const double fast = model.with_link({1e10, 1e-6}).predict(shape).total.value;
    const double slow = model.with_link({1e9, 1e-6}).predict(shape).total.value;
    EXPECT_GT(slow, fast);
}

TEST(ScaleModel, ComesBackFromItsFile) {
    auto model = ScaleModel::fit(rounds_on({1, 2, 4}));
    model.set_doubling(0.25);
    const auto json = model.to_json();
    EXPECT_EQ(ScaleModel::from_json(json).to_json().dump(), json.dump());
    for (const char* const key : {"format", "version", "rates", "covariance", "ranges"}) {
        auto damaged = json;
        damaged[key] = 7;
        EXPECT_THROW((void)ScaleModel::from_json(damaged), DataError) << key;
    }
    EXPECT_THROW((void)ScaleModel::fit({}), UsageError);
}

// Without stragglers and leavers, with as many chunks for every rank and a core for each, ranks never wait: events add up to the formula.
TEST(Simulation, EqualsTheFormulaWhereNobodyWaits) {
    const auto model = ScaleModel::fit(rounds_on({1, 2, 4, 8}));
    for (const bool is_secure : {false, true}) {
        for (const int ranks : {1, 4, 16}) {
            RoundShape shape = planted_shape(ranks, 16, 1 << 20, is_secure);
            shape.cores = ranks;
            const auto played = simulate_round(model, {.shape = shape}, 1);
            EXPECT_EQ(played.refusal, "");
            EXPECT_NEAR(played.sum_s, model.predict(shape).total.value, 1e-9) << ranks;
        }
    }
}

// Where ranks share cores, they take turns: no more than the cores can do, and a chunk or two of waiting.
TEST(Simulation, SharedCoresAreBusy) {
    const auto model = ScaleModel::fit(rounds_on({1, 2, 4, 8}));
    const RoundShape shape = planted_shape(8, 8, 1 << 24, true);
    const double formula = model.predict(shape).total.value;
    const double played = simulate_round(model, {.shape = shape}, 1).sum_s;
    EXPECT_GE(played, formula * (1 - 1e-9));
    EXPECT_LE(played, formula * 1.1);
}

TEST(Simulation, StragglersAreWaitedFor) {
    const auto model = ScaleModel::fit(rounds_on({1, 2, 4, 8}));
    SimulationSetting setting{.shape = planted_shape(8, 8, 1000, false), .train_s = 10};
    setting.shape.cores = 8;
    EXPECT_DOUBLE_EQ(simulate_round(model, setting, 1).train_s, 10);
    EXPECT_NEAR(simulate_round(model, setting, 1).waiting_s, 0, 1e-12);
    setting.straggling = 0.5;
    const auto played = simulate_round(model, setting, 1);
    EXPECT_GT(played.waiting_s, 1);
    EXPECT_NE(played.train_s, simulate_round(model, setting, 2).train_s);
    EXPECT_EQ(played.train_s, simulate_round(model, setting, 1).train_s);
}

TEST(Simulation, LeaversCostTimeAndTooManyTheSum) {
    const auto model = ScaleModel::fit(rounds_on({1, 2, 4, 8}));
    SimulationSetting setting{.shape = planted_shape(4, 200, 100000, true)};
    setting.shape.plan = plan_of_silos(200, {.graph = "harary", .corrupt = 0.05, .dropouts = 0.1});
    const double all = simulate_round(model, setting, 1).sum_s;
    setting.dropouts = 0.05;
    const auto some = simulate_round(model, setting, 1);
    EXPECT_GT(some.leavers, 0);
    EXPECT_EQ(some.refusal, "");
    EXPECT_GT(some.sum_s, 0.5 * all);
    setting.dropouts = 0.45;
    EXPECT_THAT(simulate_round(model, setting, 1).refusal, HasSubstr("needed"));
    // In a complete graph everybody has shares of everybody: 14 of 20 must stay.
    setting.shape = planted_shape(4, 20, 1000, true);
    setting.dropouts = 0;
    setting.shape.leavers = 6;
    EXPECT_EQ(simulate_round(model, setting, 1).refusal, "");
    EXPECT_NEAR(simulate_round(model, setting, 1).sum_s, model.predict(setting.shape).total.value, 1e-3);
    setting.shape.leavers = 7;
    EXPECT_THAT(simulate_round(model, setting, 1).refusal, HasSubstr("13 of 20 silos are left, 14 are needed"));
}

TEST(ScaleModel, TwoLevelsAreSlicesWhereNothingIsForwarded) {
    const auto both = [](RoundShape shape) {
        shape.scheme = Scheme::slices;
        const auto slices = std::pair(work_of(shape), memory_of(shape));
        shape.scheme = Scheme::two_level;
        return std::pair(slices, std::pair(work_of(shape), memory_of(shape)));
    };
    for (const bool is_secure : {false, true}) {
        for (const std::uint32_t silos : {8U, 32U}) {  // with several silos a rank, words are copied to where others read them
            RoundShape shape = planted_shape(8, silos, 100000, is_secure);
            const auto [slices, two_level] = both(shape);
            EXPECT_EQ(slices, two_level) << "one machine";
            shape.machines = 4;
            shape.shares_memory = false;
            const auto [by_messages, also_by_messages] = both(shape);
            EXPECT_EQ(by_messages, also_by_messages) << "no shared memory";
        }
    }
}

TEST(ScaleModel, TwoLevelsDivideWhatCrossesByTheRanksOfAMachine) {
    RoundShape shape = planted_shape(16, 16, 1 << 20, false);
    shape.machines = 4;
    const auto at = [&](Scheme scheme, const char* phase, Kind kind) {
        shape.scheme = scheme;
        return work_of(shape).at(phase)[static_cast<std::size_t>(kind)];
    };
    const double words = 4.0 * (1 << 20);
    EXPECT_DOUBLE_EQ(at(Scheme::slices, "idle", Kind::link_bytes) - at(Scheme::two_level, "idle", Kind::link_bytes),
                     (4 - 1) * words * 3 / 4);
    EXPECT_DOUBLE_EQ(at(Scheme::slices, "wire", Kind::message_bytes), 4 * at(Scheme::two_level, "wire", Kind::message_bytes));
    // Every word is added up once on its machine; the sums of the others come on top.
    EXPECT_DOUBLE_EQ(at(Scheme::two_level, "wire", Kind::add_up) + at(Scheme::two_level, "decode", Kind::add_up), (16 + 3) * words / 4);
}

// Links carry one message after the other: words cannot arrive sooner than their bytes over its rate.
TEST(Simulation, WordsTravelNoFasterThanTheLink) {
    const auto model = ScaleModel::fit(rounds_on({1, 2, 4, 8})).with_link({1e8, 1e-6});
    RoundShape shape = planted_shape(8, 8, 1 << 22, false);
    shape.machines = 4;
    const double bytes = 2 * 4.0 * (1 << 22) * 6 / 8;  // of two ranks, for the six on other machines
    shape.scheme = Scheme::slices;
    const double slices = simulate_round(model, {.shape = shape}, 1).sum_s;
    EXPECT_GT(slices, bytes / 1e8);
    shape.scheme = Scheme::two_level;  // sums of a machine are half of its ranks' words
    const double sums = 4.0 * (1 << 22) * 3 / 4;
    const double two_level = simulate_round(model, {.shape = shape}, 1).sum_s;
    EXPECT_GT(two_level, sums / 1e8);
    EXPECT_LT(two_level, slices - 0.8 * (bytes - sums) / 1e8);
}

}  // namespace
}  // namespace silosum

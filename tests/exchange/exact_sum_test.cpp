// The sum over the ranks must have the bits of the definition, whatever the number of ranks, the placement of silos, the length of
// the model, the ring and the chunks. As the reference knows nothing of ranks, runs with different rank counts equal each other.
#include "exchange/exact_sum.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "exchange/rounds.hpp"
#include "exchange/sums.hpp"

namespace silosum {
namespace {

class ExactSumTest : public testing::Test {
protected:
    Communicator world = Communicator::world();

    void expect_definition(const Case& c, const std::string& what) {
        SCOPED_TRACE(what);
        ExactSum exchange(world, c.config, c.setup(world));
        std::vector<float> model = c.first_model();
        const std::vector<float> before = model;
        const Round round = c.round();
        const Played played = play(world, c, exchange, round, model);
        const Reference expected = reference(c, exchange.plan(), round, before);
        ASSERT_EQ(played.mean, expected.mean);
        EXPECT_EQ(played.totals.clipped, expected.clipped);
        EXPECT_EQ(played.totals.present, c.silos);
        EXPECT_EQ(played.totals.trained, c.silos);
        EXPECT_EQ(played.totals.steps, 3 * c.silos);
        for (std::size_t i = 0; i < c.parameters; ++i) ASSERT_EQ(model[i], static_cast<float>(before[i] + expected.mean[i])) << i;
    }
};

// The encoding of a round that has not begun.
EncodingPlan plan_of_next(ExactSum& exchange, const Case& c, std::uint64_t number) {
    exchange.begin(c.round(number));
    return exchange.plan();
}

TEST_F(ExactSumTest, HasTheBitsOfTheDefinitionForAnyLengthAndRing) {
    for (const std::uint64_t bits : {32U, 64U}) {
        for (const std::size_t d : {0, 1, 3, 7, 1000, 4097, 100003}) {
            Case c{.parameters = d};
            c.config.ring_bits = bits;
            expect_definition(c, fmt::format("{} parameters, {} bits", d, bits));
        }
    }
}

TEST_F(ExactSumTest, DoesNotDependOnWhereSilosAreHosted) {
    for (const std::uint64_t bits : {32U, 64U}) {
        for (const std::size_t silos : {1, 2, 5, 16}) {
            for (const Placement& placement : {Placement(in_turn), Placement(all_on_last), Placement(in_pairs)}) {
                Case c{.parameters = 4097, .silos = silos, .placement = placement};
                c.config.ring_bits = bits;
                expect_definition(c, fmt::format("{} silos, {} bits", silos, bits));
            }
        }
    }
}

TEST_F(ExactSumTest, DoesNotDependOnTheLengthOfChunks) {
    for (const std::uint64_t kib : {1, 16, 2048}) {
        for (const Placement& placement : {Placement(in_turn), Placement(all_on_last)}) {
            Case c{.parameters = 30001, .silos = 3, .placement = placement};
            c.config.chunk_kib = kib;
            expect_definition(c, fmt::format("chunks of {} KiB", kib));
        }
    }
}

TEST_F(ExactSumTest, DoesNotDependOnHowRanksShareMemory) {
    for (const char* transport : {"messages", "shared", "auto"}) {
        for (const int ranks_per_node : {0, 1, 2, 3}) {
            for (const Placement& placement : {Placement(in_turn), Placement(all_on_last)}) {
                Case c{.parameters = 30001, .silos = 5, .placement = placement, .ranks_per_node = ranks_per_node};
                c.config.transport = transport;
                c.config.chunk_kib = 16;
                expect_definition(c, fmt::format("{}, {} ranks a node", transport, ranks_per_node));
            }
        }
    }
}

TEST_F(ExactSumTest, DoesNotDependOnHowManyRanksHostASilo) {
    for (const int each : group_sizes(world)) {
        for (const std::string& transport : gpu() ? std::vector<std::string>{"nccl"} : std::vector<std::string>{"messages", "shared"}) {
            for (const int ranks_per_node : {0, 2, 3}) {
                for (const Placement& placement : {Placement(in_turn), Placement(all_on_last)}) {
                    Case c{
                        .parameters = 30001, .silos = 4, .placement = placement, .ranks_per_node = ranks_per_node, .ranks_per_silo = each};
                    c.config.transport = transport;
                    c.config.chunk_kib = 16;
                    expect_definition(c, fmt::format("{}, {} ranks a silo, {} a node", transport, each, ranks_per_node));
                }
            }
        }
        for (const std::size_t d : {0, 1, 17, 100}) {  // some positions have no part of the vector
            expect_definition({.parameters = d, .silos = 3, .ranks_per_silo = each}, fmt::format("{} parameters", d));
        }
        Case agreed{.spread = 0.3F, .ranks_per_silo = each};
        agreed.config.range = "agreed";
        expect_definition(agreed, "agreed");
        Case clipped{.spread = 3.0F, .ranks_per_silo = each};
        clipped.config.range = "fixed";
        clipped.config.range_value = 1;
        expect_definition(clipped, "clipping");
    }
}

TEST_F(ExactSumTest, OneModelANodeIsWhatEveryRankWouldHave) {
    for (const char* transport : {"messages", "shared"}) {
        for (const int ranks_per_node : {0, 2, 3}) {
            Case c{.parameters = 4097, .ranks_per_node = ranks_per_node, .ranks_per_silo = group_sizes(world).back()};
            c.config.transport = transport;
            SCOPED_TRACE(fmt::format("{}, {} ranks a node", transport, ranks_per_node));
            ExactSum exchange(world, c.config, c.setup(world));
            Layout layout;
            layout.add("weight", {c.parameters});
            Parameters global = exchange.make_model(layout);
            std::vector<float> expected = c.first_model();
            exchange.publish_first(global, [&](std::span<float> values) { std::copy(expected.begin(), expected.end(), values.begin()); });
            ASSERT_TRUE(std::ranges::equal(global.values.span(), expected));
            barrier(world);  // nobody moves the model while another still compares
            for (std::uint64_t number = 1; number <= 3; ++number) {
                const Reference sum = reference(c, plan_of_next(exchange, c, number), c.round(number), expected);
                (void)play(world, c, exchange, c.round(number), global.values.span());
                for (std::size_t i = 0; i < c.parameters; ++i) {
                    expected[i] = static_cast<float>(expected[i] + sum.mean[i]);
                    ASSERT_EQ(global.values[i], expected[i]) << "round " << number << ", coordinate " << i;
                }
            }
        }
    }
}

TEST_F(ExactSumTest, UniformWeightsCountSilosAlike) {
    Case c;
    c.config.weights = "uniform";
    expect_definition(c, "uniform");
}

TEST_F(ExactSumTest, AgreedRangeIsTheSmallestPowerOfTwoThatClipsNothing) {
    for (const Placement& placement : {Placement(in_turn), Placement(all_on_last)}) {
        Case c{.placement = placement, .spread = 0.3F};
        c.config.range = "agreed";
        expect_definition(c, "agreed");
        ExactSum exchange(world, c.config, c.setup(world));
        std::vector<float> model = c.first_model();
        const Played played = play(world, c, exchange, c.round(), model);
        EXPECT_EQ(played.totals.clipped, 0U);
        EXPECT_EQ(played.totals.range, 0.5);
    }
}

TEST_F(ExactSumTest, CoordinatesBeyondTheRangeAreLimitedAndCounted) {
    for (const Placement& placement : {Placement(in_turn), Placement(all_on_last)}) {
        Case c{.placement = placement, .spread = 3.0F};
        c.config.range = "fixed";
        c.config.range_value = 1;
        expect_definition(c, "clipping");
        ExactSum exchange(world, c.config, c.setup(world));
        std::vector<float> model = c.first_model();
        const Played played = play(world, c, exchange, c.round(), model);
        EXPECT_GT(played.totals.clipped, 0U);
        EXPECT_LE(*std::max_element(played.mean.begin(), played.mean.end()), 1.0);
    }
}

TEST_F(ExactSumTest, FullRangeOfEverySiloDoesNotLeaveTheRing) {
    for (const std::uint64_t bits : {32U, 64U}) {
        Case c{.parameters = 100, .silos = 7};
        c.config.range = "fixed";
        c.config.ring_bits = bits;
        c.config.range_value = 0.25;
        c.config.max_weight = 1024;
        ExactSum exchange(world, c.config, c.setup(world));
        const std::vector<float> model(c.parameters, 0.0F);
        for (const float sign : {1.0F, -1.0F}) {
            const std::vector<float> local(c.parameters, sign * 100.0F);
            const Round round = c.round();
            exchange.begin(round);
            Given given(exchange);
            for (const auto silo : c.hosted(world)) {
                given.add({.silo = silo, .weight = 1024, .local = local, .global = model, .steps = 1, .numbers = {}});
            }
            const Aggregate sum = exchange.finish(round);
            for (const double mean : mean_of(exchange, sum)) EXPECT_EQ(mean, sign * 0.25) << bits;
        }
    }
}

TEST_F(ExactSumTest, ErrorBoundHoldsAgainstTheMeanInDouble) {
    Case c{.parameters = 5000, .silos = 9};
    ExactSum exchange(world, c.config, c.setup(world));
    std::vector<float> model = c.first_model();
    const std::vector<float> before = model;
    const Played played = play(world, c, exchange, c.round(), model);
    std::vector<long double> mean(c.parameters, 0);
    for (std::uint32_t silo = 0; silo < c.silos; ++silo) {
        const auto local = c.local(silo, before, 1);
        for (std::size_t i = 0; i < c.parameters; ++i) {
            mean[i] +=
                static_cast<long double>(c.weight(silo)) * (static_cast<long double>(local[i]) - before[i]) / played.totals.weight_sum;
        }
    }
    double largest = 0;
    for (std::size_t i = 0; i < c.parameters; ++i) largest = std::max(largest, static_cast<double>(std::abs(mean[i] - played.mean[i])));
    EXPECT_LE(largest, played.totals.error_bound);
    EXPECT_GT(largest, played.totals.error_bound / 100) << "the bound says nothing when it is far away";
}

TEST_F(ExactSumTest, OnlyParticipantsCount) {
    Case c{.silos = 6};
    ExactSum exchange(world, c.config, c.setup(world));
    std::vector<float> model = c.first_model();
    for (const auto& participants : {std::vector<std::uint32_t>{1, 4}, {0, 1, 2, 3, 5}, {2}}) {
        const Round round{.number = 1, .total = 9, .participants = participants};
        const std::vector<float> before = model;
        const Played played = play(world, c, exchange, round, model);
        EXPECT_EQ(played.mean, reference(c, exchange.plan(), round, before).mean);
        EXPECT_EQ(played.totals.present, participants.size());
    }
}

TEST_F(ExactSumTest, RangeFollowsTheLastMeanAndDoublesWhenItWasTooSmall) {
    Case c{.spread = 0.01F};
    ExactSum exchange(world, c.config, c.setup(world));
    std::vector<float> model = c.first_model();
    EXPECT_EQ(exchange.next_range().value, 4.0);
    Played played = play(world, c, exchange, c.round(1), model);
    double largest = 0;
    for (const double mean : played.mean) largest = std::max(largest, std::abs(mean));
    const double second = exchange.next_range().value;
    EXPECT_TRUE(is_power_of_two(second));
    EXPECT_GE(second, 16 * largest);
    EXPECT_LT(second / 2, 16 * largest);

    exchange.set_next_range({.value = 0x1p-12});
    played = play(world, c, exchange, c.round(2), model);
    EXPECT_EQ(played.totals.range, 0x1p-12);
    EXPECT_GT(played.totals.clipped, 0U);
    EXPECT_GE(exchange.next_range().value, 0x1p-11);
}

TEST_F(ExactSumTest, RangeDoublesEvenWhereClippedUpdatesCancelInTheMean) {
    Case c{.parameters = 100, .silos = 2};
    ExactSum exchange(world, c.config, c.setup(world));
    const std::vector<float> model(c.parameters, 0.0F);
    for (std::uint64_t number = 1; number <= 3; ++number) {
        const double range = exchange.next_range().value;
        const Round round = c.round(number);
        exchange.begin(round);
        Given given(exchange);
        std::vector<float> local;
        for (const auto silo : c.hosted(world)) {
            local.assign(c.parameters, silo == 0 ? 1e4F : -1e4F);
            given.add({.silo = silo, .weight = 5, .local = local, .global = model, .steps = 1, .numbers = {}});
        }
        const Aggregate sum = exchange.finish(round);
        EXPECT_EQ(sum.clipped, 2 * c.parameters);
        EXPECT_EQ(exchange.next_range().value, 2 * range);
    }
}

// Near an optimum the silos pull to different sides and the mean vanishes: the range must not follow it below what they need.
TEST_F(ExactSumTest, RangeRemembersWhatClippedWhenTheMeanVanishes) {
    Case c{.parameters = 100, .silos = 2};
    c.config.range_value = 0x1p-3;
    ExactSum exchange(world, c.config, c.setup(world));
    const std::vector<float> model(c.parameters, 0.0F);
    std::uint64_t clipped_rounds = 0;
    for (std::uint64_t number = 1; number <= 100; ++number) {
        const Round round = c.round(number);
        exchange.begin(round);
        Given given(exchange);
        std::vector<float> local;
        for (const auto silo : c.hosted(world)) {
            local.assign(c.parameters, silo == 0 ? 0.9F : -0.9F);
            local[0] += 1e-3F;
            given.add({.silo = silo, .weight = 5, .local = local, .global = model, .steps = 1, .numbers = {}});
        }
        clipped_rounds += exchange.finish(round).clipped > 0 ? 1 : 0;
    }
    // Three rounds to double from an eighth to one; then one each time that the memory has been halved.
    EXPECT_LE(clipped_rounds, 3U + 100 / 32);
    EXPECT_GE(clipped_rounds, 3U);
}

TEST_F(ExactSumTest, ResumedFromItsStateGoesOnWithTheSameBits) {
    Case c;
    std::vector<float> model = c.first_model();
    ExactSum first(world, c.config, c.setup(world));
    (void)play(world, c, first, c.round(1), model);
    const NextRange range = first.next_range();
    std::vector<float> resumed_model = model;
    const auto straight = play(world, c, first, c.round(2), model).mean;

    c.placement = in_pairs;
    ExactSum second(world, c.config, c.setup(world));
    second.set_next_range(range);
    EXPECT_EQ(play(world, c, second, c.round(2), resumed_model).mean, straight);
    EXPECT_EQ(resumed_model, model);
    EXPECT_EQ(second.next_range(), first.next_range());
}

TEST_F(ExactSumTest, NumbersOfSilosAreSummedExactly) {
    Case c{.parameters = 10, .silos = 6, .ranks_per_silo = group_sizes(world).back()};
    ExactSum exchange(world, c.config, c.setup(world, 2));
    const std::vector<float> model = c.first_model();
    const double values[] = {1e20, 1.0, -1e20, 0x1p-60, 3.0, 0.1};
    const Round round = c.round();
    exchange.begin(round);
    Given given(exchange);
    for (const auto silo : c.hosted(world)) {
        given.add({.silo = silo, .weight = 5, .local = model, .global = model, .steps = 1, .numbers = {values[silo], 1.0}});
    }
    const Aggregate sum = exchange.finish(round);
    EXPECT_EQ(sum.numbers, (std::vector<double>{4.0 + 0.1, 6.0}));
    std::map<std::uint32_t, ExactNumbers> numbers;
    for (const auto silo : c.hosted(world)) numbers.emplace(silo, ExactNumbers(1)).first->second.add(0, values[silo], "a test");
    EXPECT_EQ(sum_exactly(*make_plain_sums(world, c.ranks_per_silo), "a test", 1, numbers), std::vector<double>{4.0 + 0.1});
}

TEST_F(ExactSumTest, CountsBytesAndTimesItsPhases) {
    Case c{.parameters = 16000, .silos = static_cast<std::size_t>(world.size())};
    ExactSum exchange(world, c.config, c.setup(world));
    std::vector<float> model = c.first_model();
    (void)play(world, c, exchange, c.round(), model);
    std::uint64_t bytes = exchange.bytes_sent();
    all_reduce_sum(world, std::span(&bytes, 1));
    // Every rank sends all words but its own slice, and its slice to all others.
    EXPECT_EQ(bytes, 2 * 4 * c.parameters * static_cast<std::uint64_t>(world.size() - 1));
    // Every group sends all words but its own slices once, however many ranks it has.
    for (const int each : group_sizes(world)) {
        const auto groups = static_cast<std::size_t>(world.size() / each);
        const Case grouped{.parameters = 16000, .silos = groups, .ranks_per_silo = each};
        ExactSum between_groups(world, grouped.config, grouped.setup(world));
        (void)play(world, grouped, between_groups, grouped.round(), model);
        bytes = between_groups.bytes_sent();
        all_reduce_sum(world, std::span(&bytes, 1));
        EXPECT_EQ(bytes, 4 * c.parameters * (groups - 1 + static_cast<std::size_t>(world.size()) - 1));
    }
    for (const char* phase : {"encode", "wait", "wire", "decode", "publish"})
        EXPECT_TRUE(exchange.clock().phases().contains(phase)) << phase;
}

}  // namespace
}  // namespace silosum

// Where all ranks can read all updates, the sum must have the bits of the definition as everywhere else, and must be told what it is told
// elsewhere.
#include "exchange/shared_updates.hpp"

#include <atomic>
#include <limits>

#include <gtest/gtest.h>

#include "exchange/exact_sum.hpp"
#include "exchange/rounds.hpp"

namespace silosum {
namespace {

class SharedUpdatesTest : public testing::Test {
protected:
    Communicator world = Communicator::world();

    // An exchange, its model and the room for this rank's updates.
    struct Sum {
        ExactSum exchange;
        Parameters global;
        Buffer<float> room;
        Sum(const Communicator& world, const Case& c) : exchange(world, c.config, c.setup(world)) {
            Layout layout;
            layout.add("weight", {c.parameters});
            global = exchange.make_model(layout);
            room = exchange.make_local();
            const auto first = c.first_model();
            exchange.publish_first(global, [&](std::span<float> values) { std::copy(first.begin(), first.end(), values.begin()); });
            barrier(world);
        }
        Played play(const Communicator& world, const Case& c, const Round& round, std::span<float> where) {
            return silosum::play(
                world, c, exchange, round, global.values.span(), [](std::uint32_t) { return std::vector<double>(); }, where);
        }
    };

    void expect_definition(const Case& c, const std::vector<Round>& rounds, bool from_room = true) {
        Sum sum(world, c);
        ASSERT_EQ(sum.room.empty(), world.size() == 1 || c.parameters == 0);
        std::vector<float> model = c.first_model();
        for (const Round& round : rounds) {
            const NextRange range = sum.exchange.next_range();
            const Played played = sum.play(world, c, round, from_room ? sum.room.span() : std::span<float>());
            ExactSum same(world, c.config, c.setup(world));
            same.set_next_range(range);
            std::vector<float> by_words = model;
            const Played words = play(world, c, same, round, by_words);
            const Reference expected = reference(c, same.plan(), round, model);
            ASSERT_EQ(played.mean, expected.mean) << round.number;
            ASSERT_EQ(words.mean, expected.mean) << round.number;
            EXPECT_EQ(played.totals.clipped, expected.clipped);
            EXPECT_EQ(played.totals.present, round.participants.size());
            EXPECT_EQ(played.totals.range, words.totals.range);
            EXPECT_EQ(sum.exchange.next_range(), same.next_range());
            for (std::size_t i = 0; i < model.size(); ++i) {
                model[i] = static_cast<float>(model[i] + expected.mean[i]);
                ASSERT_EQ(sum.global.values[i], model[i]) << i;
            }
            barrier(world);
        }
    }
    [[nodiscard]] static std::vector<Round> rounds_of(const Case& c) { return {c.round(1), c.round(2), c.round(3)}; }
};

TEST_F(SharedUpdatesTest, GiveTheBitsOfTheDefinition) {
    for (const std::uint64_t bits : {32U, 64U}) {
        for (const std::size_t d : {1, 17, 30001}) {
            for (const std::size_t silos : {world.size(), (world.size() + 1) / 2}) {
                Case c{.parameters = d, .silos = silos};
                c.config.ring_bits = bits;
                SCOPED_TRACE(fmt::format("{} parameters, {} bits, {} silos", d, bits, silos));
                expect_definition(c, rounds_of(c));
            }
        }
    }
}

TEST_F(SharedUpdatesTest, OnlyParticipantsCount) {
    Case c{.parameters = 5000, .silos = static_cast<std::size_t>(world.size())};
    std::vector<std::uint32_t> others;
    for (std::uint32_t silo = 1; silo < c.silos; ++silo) others.push_back(silo);
    expect_definition(c, {{.number = 1, .total = 9, .participants = {static_cast<std::uint32_t>(c.silos - 1)}},
                          {.number = 2, .total = 9, .participants = others.empty() ? std::vector<std::uint32_t>{0} : others}});
}

TEST_F(SharedUpdatesTest, RangesAreAgreedAndCoordinatesClippedAsElsewhere) {
    for (const char* range : {"agreed", "fixed", "from_previous"}) {
        Case c{.parameters = 5000, .silos = static_cast<std::size_t>(world.size()), .spread = 3.0F};
        c.config.range = range;
        c.config.range_value = 1;
        SCOPED_TRACE(range);
        expect_definition(c, rounds_of(c));
    }
}

TEST_F(SharedUpdatesTest, OthersReadFloatsInsteadOfWords) {
    Case c{.parameters = 16000, .silos = static_cast<std::size_t>(world.size())};
    c.config.ring_bits = 64;
    Sum sum(world, c);
    for (const bool from_room : {true, false}) {
        (void)sum.play(world, c, c.round(), from_room ? sum.room.span() : std::span<float>());
        std::uint64_t bytes = sum.exchange.bytes_sent();
        all_reduce_sum(world, std::span(&bytes, 1));
        EXPECT_EQ(bytes, (4 + (from_room ? 4 : 8)) * c.parameters * (c.silos - 1));
    }
}

TEST_F(SharedUpdatesTest, UpdatesFromElsewhereGoAsWords) {
    const Case c{.parameters = 5000, .silos = static_cast<std::size_t>(world.size())};
    expect_definition(c, rounds_of(c), false);
    expect_definition(c, rounds_of(c), world.rank() % 2 == 0);
}

TEST_F(SharedUpdatesTest, AreOnlyForPlainSumsOfOneMachineAndOneSiloARank) {
    const auto room = [&](Case c) {
        Sum sum(world, c);
        return sum.room.size();
    };
    const Case c{.parameters = 1000, .silos = static_cast<std::size_t>(world.size())};
    EXPECT_EQ(room(c), world.size() > 1 ? 1000U : 0U);
    Case messages = c;
    messages.config.transport = "messages";
    EXPECT_EQ(room(messages), 0U);
    Case more = c;
    more.silos = c.silos + 1;
    EXPECT_EQ(room(more), 0U);
    if (world.size() == 1) return;
    Case nodes = c;
    nodes.ranks_per_node = world.size() - 1;
    EXPECT_EQ(room(nodes), 0U);
    Case groups = c;
    groups.ranks_per_silo = world.size();
    groups.silos = 1;
    EXPECT_EQ(room(groups), 0U);
}

TEST_F(SharedUpdatesTest, AnUpdateThatIsNotFiniteIsNamedOnAllRanks) {
    for (const char* range : {"from_previous", "agreed"}) {
        Case c{.parameters = 5000, .silos = static_cast<std::size_t>(world.size())};
        c.config.range = range;
        Sum sum(world, c);
        const auto broken = static_cast<std::uint32_t>(c.silos - 1);
        const Round round = c.round(7);
        sum.exchange.begin(round);
        Buffer<float> elsewhere(world.size() == 1 ? c.parameters : 0);
        const std::span<float> local = world.size() == 1 ? elsewhere.span() : sum.room.span();
        for (const auto silo : c.hosted(world)) {
            std::copy(sum.global.values.begin(), sum.global.values.end(), local.begin());
            if (silo == broken) std::ranges::fill(local.subspan(1234), std::numeric_limits<float>::quiet_NaN());
            sum.exchange.add({.silo = silo, .weight = 5, .local = local, .global = sum.global.values.span(), .steps = 1, .numbers = {}});
        }
        std::string text;
        try {
            (void)sum.exchange.finish(round);
        } catch (const AgreedError& error) {
            text = error.what();
        }
        EXPECT_NE(text.find(fmt::format("silo \"s{}\", round 7: its training diverged", broken)), std::string::npos) << text << range;
        for (const auto& other : all_gather_text(world, text)) EXPECT_EQ(other, text);
        if (world.size() > 1 && std::string(range) == "from_previous") {
            EXPECT_TRUE(text.starts_with("silo ")) << text << ": not who has read it";
        }
        barrier(world);
        const Played played = sum.play(world, c, c.round(8), sum.room.span());
        EXPECT_EQ(played.totals.present, c.silos);
    }
}

TEST_F(SharedUpdatesTest, EveryCoordinateIsAddedUpOnceWhoeverTakesIt) {
    const std::size_t d = 700001;
    SharedUpdates shared(world, Nodes(world), Slices(d, world.size()));
    Buffer<float> own = shared.own();
    const Buffer<double> mean = shared.own_mean();
    for (std::size_t i = 0; i < d; ++i) own[i] = i % 5 == 0 ? 99.0F : static_cast<float>(i % 7);  // 99 is beyond the range
    const std::vector<float> global(d, 0.0F);
    for (int round = 0; round < 20; ++round) {
        shared.begin();
        std::ranges::fill(shared.own_mean().span(), 77.0);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        barrier(world);
        std::vector<kernels::SummedUpdate> updates;
        for (int rank = 0; rank < world.size(); ++rank) updates.push_back({.local = shared.of_rank(rank), .factor = 0x1p20});
        PhaseClock clock;
        (void)shared.add_up(32, updates, global.data(), 16, 0x1p-20, world.size(), clock);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        std::uint64_t clipped = 0;
        for (const auto& update : updates) clipped += update.count.clipped;
        all_reduce_sum(world, std::span(&clipped, 1));
        EXPECT_EQ(clipped, (d + 4) / 5 * static_cast<std::size_t>(world.size())) << round;
        const std::size_t begin = Slices(d, world.size()).begin(world.rank());
        for (std::size_t i = 0; i < mean.size(); ++i)
            ASSERT_EQ(mean[i], (begin + i) % 5 == 0 ? 16.0 : static_cast<double>((begin + i) % 7)) << i;
        barrier(world);
    }
}

TEST_F(SharedUpdatesTest, RanksHelpOthersWithTheirSlices) {
    const Nodes nodes(world);
    for (const std::size_t d : {1, 30001, 200000}) {
        const Slices slices(d, world.size());
        SharedUpdates shared(world, nodes, slices);
        Buffer<float> own = shared.own();
        const Buffer<double> mean = shared.own_mean();
        std::ranges::fill(own.span(), static_cast<float>(world.rank() + 1));
        const std::vector<float> global(d, 0.0F);
        const int all = world.size() * (world.size() + 1) / 2;
        for (int worker = 0; worker < world.size(); ++worker) {  // the others are slow today
            shared.begin();
            std::ranges::fill(shared.own_mean().span(), 77.0);
            std::atomic_thread_fence(std::memory_order_seq_cst);
            barrier(world);
            if (world.rank() == worker) {
                std::vector<kernels::SummedUpdate> updates;
                for (int rank = 0; rank < world.size(); ++rank) updates.push_back({.local = shared.of_rank(rank), .factor = 0x1p20});
                PhaseClock clock;
                EXPECT_EQ(shared.add_up(32, updates, global.data(), 64, 0x1p-20, 1, clock), all);
            }
            std::atomic_thread_fence(std::memory_order_seq_cst);
            barrier(world);
            for (const double value : mean) ASSERT_EQ(value, all) << d << " by rank " << worker;
            barrier(world);
        }
    }
}

}  // namespace
}  // namespace silosum

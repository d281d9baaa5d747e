// What stops a round must stop it on every rank with the same words, and leave the exchange fit for the next round.
#include <limits>

#include <gtest/gtest.h>

#include "exchange/exact_sum.hpp"
#include "exchange/rounds.hpp"

namespace silosum {
namespace {

class ExactSumRefusals : public testing::Test {
protected:
    Communicator world = Communicator::world();

    // Plays a round in which silo `broken` gives something special; returns the message that this rank got.
    template <class Break>
    std::string play_broken(const Case& c, ExactSum& exchange, std::vector<float>& model, std::uint32_t broken, Break&& spoil,
                            const std::vector<double>& numbers = {}) {
        const Round round = c.round(7);
        exchange.begin(round);
        std::vector<float> local;
        for (const auto silo : c.hosted(world)) {
            local = c.local(silo, model, 7);
            Update update{.silo = silo, .weight = c.weight(silo), .local = local, .global = model, .steps = 3, .numbers = numbers};
            if (silo == broken) spoil(local, update);
            exchange.add(update);
        }
        try {
            (void)exchange.finish(round);
        } catch (const AgreedError& error) {
            EXPECT_EQ(error.code(), ExitCode::runtime);
            return error.what();
        }
        return "";
    }
    void expect_same_everywhere(const std::string& text) {
        for (const auto& other : all_gather_text(world, text)) EXPECT_EQ(other, text);
    }
    void expect_usable(const Case& c, ExactSum& exchange, std::vector<float>& model) {
        const std::vector<float> before = model;
        const Played played = play(world, c, exchange, c.round(8), model);
        EXPECT_EQ(played.mean, reference(c, exchange.plan(), c.round(8), before).mean);
    }
};

TEST_F(ExactSumRefusals, NotFiniteUpdateOfOneSiloNamesSiloAndRoundOnAllRanks) {
    for (const char* range : {"from_previous", "fixed", "agreed"}) {
        for (const Placement& placement : {Placement(in_turn), Placement(all_on_last), Placement(in_pairs)}) {
            for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
                Case c{.parameters = 5000, .silos = 4, .placement = placement};
                c.config.range = range;
                c.config.chunk_kib = 4;
                ExactSum exchange(world, c.config, c.setup(world));
                std::vector<float> model = c.first_model();
                const std::string text =
                    play_broken(c, exchange, model, 2, [&](std::vector<float>& local, Update&) { local[1234] = value; });
                EXPECT_NE(text.find("silo \"s2\", round 7: its training diverged"), std::string::npos) << text << range;
                expect_same_everywhere(text);
                expect_usable(c, exchange, model);
            }
        }
    }
}

TEST_F(ExactSumRefusals, NotFiniteNumberIsToldToAll) {
    Case c;
    ExactSum exchange(world, c.config, c.setup(world, 1));
    std::vector<float> model = c.first_model();
    const std::string text =
        play_broken(c, exchange, model, 3, [](std::vector<float>&, Update& update) { update.numbers = {std::nan("")}; }, {1.0});
    EXPECT_NE(text.find("silo \"s3\", round 7: a result of its training: nan cannot be summed"), std::string::npos) << text;
    expect_same_everywhere(text);
}

TEST_F(ExactSumRefusals, WeightAboveTheDeclaredOneIsRefused) {
    Case c;
    ExactSum exchange(world, c.config, c.setup(world));
    std::vector<float> model = c.first_model();
    const std::string text = play_broken(c, exchange, model, 1, [](std::vector<float>&, Update& update) { update.weight = 1025; });
    EXPECT_NE(text.find("silo \"s1\", round 7: weight 1025"), std::string::npos) << text;
    expect_same_everywhere(text);
    expect_usable(c, exchange, model);
}

TEST_F(ExactSumRefusals, FailureOfARankEndsTheRoundForAll) {
    Case c;
    ExactSum exchange(world, c.config, c.setup(world));
    std::vector<float> model = c.first_model();
    const Round round = c.round();
    exchange.begin(round);
    if (world.rank() == world.size() - 1) exchange.fail(0, DataError("shard b.h5 has changed"));
    std::string text;
    try {
        (void)exchange.finish(round);
    } catch (const AgreedError& error) {
        text = error.what();
        EXPECT_EQ(error.code(), ExitCode::data);
    }
    EXPECT_NE(text.find("shard b.h5 has changed"), std::string::npos);
    expect_same_everywhere(text);
    expect_usable(c, exchange, model);
}

TEST_F(ExactSumRefusals, AMissingUpdateIsNoticed) {
    Case c;
    ExactSum exchange(world, c.config, c.setup(world));
    const Round round = c.round();
    exchange.begin(round);
    EXPECT_THROW((void)exchange.finish(round), AgreedError);
}

TEST_F(ExactSumRefusals, WithoutAnyWeightTheRoundIsRefusedAndTheModelStays) {
    for (const char* range : {"from_previous", "agreed"}) {
        Case c;
        c.config.range = range;
        ExactSum exchange(world, c.config, c.setup(world));
        std::vector<float> model = c.first_model();
        const NextRange range_before = exchange.next_range();
        const Round round = c.round();
        exchange.begin(round);
        const auto local = c.local(0, model, 1);
        for (const auto silo : c.hosted(world)) {
            exchange.add({.silo = silo, .weight = 0, .local = local, .global = model, .steps = 0, .numbers = {}});
        }
        const Aggregate sum = exchange.finish(round);
        EXPECT_TRUE(sum.is_refused());
        EXPECT_EQ(sum.present, c.silos);
        EXPECT_EQ(sum.trained, 0U);
        for (const double mean : sum.mean) ASSERT_EQ(mean, 0.0);
        EXPECT_EQ(exchange.next_range(), range_before);
        expect_usable(c, exchange, model);
    }
}

TEST_F(ExactSumRefusals, AgreedRangeRefusesUpdatesThatAreTooLarge) {
    Case c;
    c.config.range = "agreed";
    ExactSum exchange(world, c.config, c.setup(world));
    std::vector<float> model = c.first_model();
    const std::string text = play_broken(c, exchange, model, 4, [](std::vector<float>& local, Update&) { local[0] = 1e30F; });
    EXPECT_NE(text.find("silo \"s4\", round 7: its training diverged"), std::string::npos) << text;
    expect_same_everywhere(text);
    expect_usable(c, exchange, model);
}

TEST_F(ExactSumRefusals, SettingsThatDoNotFitAreRefusedBeforeAnyRound) {
    Case c;
    c.config.max_weight = 100;
    EXPECT_THROW(ExactSum(world, c.config, c.setup(world)), AgreedError);
    Case many;
    auto setup = many.setup(world);
    setup.silos_per_round = std::size_t{1} << 24;
    EXPECT_THROW(ExactSum(world, many.config, setup), AgreedError);
}

TEST(ExchangeOptions, RefuseWhatIsNoPowerOfTwoOrNoRing) {
    Options options;
    ExchangeConfig config;
    config.add_to(options);
    EXPECT_EQ(options.load({}, {"--exchange.range_value", "3"}).size(), 1U);
    EXPECT_EQ(options.load({}, {"--exchange.range_value", "0.125"}).size(), 0U);
    EXPECT_EQ(options.load({}, {"--exchange.ring_bits", "48"}).size(), 1U);
    EXPECT_EQ(options.load({}, {"--exchange.ring_bits", "64"}).size(), 0U);
    EXPECT_EQ(config.ring_bits, 64U);
}

}  // namespace
}  // namespace silosum

// The laws of the secure sum over MPI: the bits of the plain sum for every number of ranks, silos, ring, cipher and graph, with silos that
// leave at every step; and nothing that a single silo gave in what is refused.
#include "exchange/secure_sum.hpp"

#include <cmath>

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "exchange/exact_sum.hpp"
#include "exchange/rounds.hpp"
#include "exchange/secure_attempt.hpp"
#include "exchange/sums.hpp"
#include "privacy/identity.hpp"
#include "privacy/loopback.hpp"
#include "privacy/model_hash.hpp"
#include "support/fixed_entropy.hpp"
#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

using testing::HasSubstr;

struct SecureCase : Case {
    SecureCase() {
        config.secure = true;
        config.identities = "throwaway";
        config.corrupt = 0;
    }
    [[nodiscard]] Case plain() const {
        Case same = *this;
        same.config.secure = false;
        same.config.transport = "auto";  // also where masked words are summed on GPUs
        return same;
    }
};

class SecureSumTest : public testing::Test {
protected:
    [[nodiscard]] std::unique_ptr<SecureGroup> group_of(const SecureCase& c) const {
        return std::make_unique<SecureGroup>(world, c.config, c.names(), c.hosted(world), c.ranks_per_silo);
    }

    // Rounds of both exchanges side by side, from the same models.
    void expect_bits_of_plain_sum(const SecureCase& c, std::uint64_t rounds = 2) {
        const auto numbers = [](std::uint32_t silo) { return std::vector<double>{0.1 * silo, 1.0}; };
        const auto group = group_of(c);
        SecureSum secure(world, c.config, c.setup(world, 2), *group);
        ExactSum plain(world, c.plain().config, c.plain().setup(world, 2));
        std::vector<float> model = c.first_model();
        std::vector<float> plain_model = model;
        for (std::uint64_t number = 1; number <= rounds; ++number) {
            const Played masked = play(world, c, secure, c.round(number), model, numbers);
            const Played open = play(world, c, plain, c.round(number), plain_model, numbers);
            ASSERT_EQ(masked.mean, open.mean) << "round " << number;
            ASSERT_EQ(model, plain_model);
            EXPECT_EQ(masked.totals.weight_sum, open.totals.weight_sum);
            EXPECT_EQ(masked.totals.trained, open.totals.trained);
            EXPECT_EQ(masked.totals.steps, c.config.is_uniform() ? 0 : open.totals.steps) << "steps are counts";
            EXPECT_EQ(masked.totals.clipped, open.totals.clipped);
            EXPECT_EQ(masked.totals.numbers, open.totals.numbers);
            EXPECT_EQ(secure.next_range(), plain.next_range());
            group->set_model_hash(crypto::sha256({crypto::view("round"), crypto::view(std::to_string(number))}));
        }
    }

    // The message that all ranks agree on.
    [[nodiscard]] std::string refusal(const SecureCase& c, SecureGroup& group, std::uint64_t number = 1) {
        SecureSum secure(world, c.config, c.setup(world), group);
        std::vector<float> model = c.first_model();
        try {
            (void)play(world, c, secure, c.round(number), model);
        } catch (const AgreedError& error) {
            EXPECT_EQ(model, c.first_model());
            return error.what();
        }
        return "";
    }

    Communicator world = Communicator::world();
};

TEST_F(SecureSumTest, HasTheBitsOfThePlainSum) {
    for (const std::size_t silos : {3U, 5U, 8U}) {
        for (const std::uint64_t bits : {32U, 64U}) {
            for (const Placement& placement : {Placement(in_turn), Placement(all_on_last), Placement(in_pairs)}) {
                SecureCase c;
                c.silos = silos;
                c.placement = placement;
                c.config.ring_bits = bits;
                expect_bits_of_plain_sum(c);
            }
        }
    }
}

TEST_F(SecureSumTest, HasTheBitsOfThePlainSumForEveryWayOfWords) {
    for (const std::size_t parameters : {1U, 15U, 17U, 5000U}) {
        SecureCase c;
        c.parameters = parameters;
        c.config.chunk_kib = 1;
        expect_bits_of_plain_sum(c, 1);
    }
    SecureCase by_messages;
    by_messages.config.transport = "messages";
    expect_bits_of_plain_sum(by_messages, 1);
    SecureCase in_nodes;
    in_nodes.ranks_per_node = 2;
    in_nodes.parameters = 600'000;  // three leaves of the model's hash
    expect_bits_of_plain_sum(in_nodes, 1);
    SecureCase chacha;
    chacha.config.cipher = "chacha20";
    expect_bits_of_plain_sum(chacha, 1);
    SecureCase uniform;
    uniform.config.weights = "uniform";
    expect_bits_of_plain_sum(uniform, 1);
    SecureCase clipped;
    clipped.config.range_value = 0x1p-4;
    expect_bits_of_plain_sum(clipped, 3);
    SecureCase sparse;
    sparse.silos = 20;
    sparse.ranks_per_silo = group_sizes(world).back();
    sparse.config.graph = "harary";
    sparse.config.corrupt = 0.1;
    expect_bits_of_plain_sum(sparse, 1);
}

// Masks hang on every key message of every silo, by the number of the session: equal masked words are made of equal messages.
TEST_F(SecureSumTest, WordsThatLeaveARankAreThoseOfTheLoopback) {
    SecureCase c;
    c.silos = 6;
    constexpr std::uint64_t seed = 3;
    std::vector<FixedEntropy> entropy;
    for (std::uint32_t silo = 0; silo < c.silos; ++silo) entropy.emplace_back(Loopback::seed_of(seed, silo));
    SecureGroup group(world, c.config, c.names(), c.hosted(world), 1,
                      [&](std::uint32_t silo) -> crypto::Entropy& { return entropy[silo]; });
    SumTerms terms{.round = 4, .purpose = "update", .vectors = terms_of(6).vectors};
    std::map<std::uint32_t, Gift> gifts;
    for (const std::uint32_t silo : c.hosted(world)) gifts[silo] = {.has_trained = true, .tag = tag_of_nothing(group, terms, silo)};
    const Rehearsal nobody_leaves({}, c.names());
    SecureAttempt attempt(group, terms, gifts, nobody_leaves);

    SecureTerms same = terms_with(group.plan(), 6);
    same.round = terms.round;
    same.attempt = 1;
    same.purpose = terms.purpose;
    same.vectors = terms.vectors;
    Loopback loopback(same, seed);
    loopback.begin();
    loopback.enter(none(6));
    std::vector<std::uint32_t> sent(words32);
    std::vector<std::uint32_t> expected(words32);
    std::vector<std::uint32_t> sum(words32);
    std::vector<std::uint32_t> plain(words32);
    for (std::uint32_t silo = 0; silo < c.silos; ++silo) {
        auto words = plain_words<std::uint32_t>(silo, words32);
        add(plain, words);
        const bool is_here = group.host_of(silo) == world.rank();
        if (is_here) add(sent, words);
        loopback.parties[silo]->mask(1, 0, std::span<std::uint32_t>(words));
        if (is_here) add(expected, words);
        add(sum, words);
    }
    attempt.hide(1, 0, std::span<std::uint32_t>(sent));
    EXPECT_EQ(sent, expected);
    attempt.record();
    attempt.finish([](SumTags&, SumTags&) {}).take_off(1, 0, std::span<std::uint32_t>(sum));
    EXPECT_EQ(sum, plain);
}

TEST_F(SecureSumTest, SilosMayLeaveAtEveryStep) {
    for (const int each : {1, group_sizes(world).back()}) {
        for (const std::string step : {"train", "keys", "shares", "entry", "signature", "release"}) {
            SecureCase c;
            c.silos = 6;
            c.ranks_per_silo = each;
            c.config.weights = "uniform";
            c.config.rehearse_leaving = {"1:s1:" + step, "2:s4:" + step};
            expect_bits_of_plain_sum(c, 3);
        }
        SecureCase mixed;
        mixed.silos = 8;
        mixed.ranks_per_silo = each;
        mixed.config.weights = "uniform";
        mixed.config.rehearse_leaving = {"1:s0:shares", "1:s3:entry", "2:s7:keys", "2:s2:release"};
        expect_bits_of_plain_sum(mixed, 2);
    }
}

TEST_F(SecureSumTest, HasTheBitsOfThePlainSumInGroupsOfRanks) {
    for (const int each : group_sizes(world)) {
        SCOPED_TRACE(fmt::format("{} ranks a silo", each));
        for (const std::uint64_t bits : {32U, 64U}) {
            for (const Placement& placement : {Placement(in_turn), Placement(all_on_last)}) {
                SecureCase c;
                c.placement = placement;
                c.ranks_per_silo = each;
                c.config.ring_bits = bits;
                c.config.cipher = bits == 32 ? "aes128-ctr" : "chacha20";
                expect_bits_of_plain_sum(c);
            }
        }
        for (const std::size_t parameters : {1U, 17U, 5000U}) {  // some positions have no part of the vector
            SecureCase c;
            c.parameters = parameters;
            c.ranks_per_silo = each;
            c.ranks_per_node = 2;
            c.config.chunk_kib = 1;
            c.config.range_value = 0x1p-4;  // clips
            expect_bits_of_plain_sum(c, 2);
        }
        SecureCase tagged;
        tagged.silos = 8;  // every group has one
        tagged.ranks_per_silo = each;
        tagged.config.transport = "auto";
        tagged.config.integrity = "tags";
        expect_bits_of_plain_sum(tagged, 2);
    }
}

// As after a kill between the shares and the checkpoint: the same round again, to the same bits, whoever left it and when.
TEST_F(SecureSumTest, ARoundCanBeDoneAgain) {
    for (const std::string step : {"train", "keys", "shares", "entry", "signature", "release"}) {
        SecureCase c;
        c.silos = 6;
        c.config.weights = "uniform";
        c.config.rehearse_leaving = {"1:s1:" + step};
        const auto group = group_of(c);
        const auto mean = [&] {
            SecureSum secure(world, c.config, c.setup(world), *group);
            std::vector<float> model = c.first_model();
            return play(world, c, secure, c.round(), model).mean;
        };
        const auto first = mean();
        EXPECT_EQ(mean(), first) << step;
    }
}

// A deadline holds unless shares have left for what the silo gave; who gave nothing then gives nothing again.
TEST_F(SecureSumTest, DeadlinesFollowTheLedger) {
    SecureCase c;
    c.silos = 6;
    c.config.weights = "uniform";
    c.config.rehearse_leaving = {"1:s1:train"};
    c.ranks_per_silo = group_sizes(world).back();
    const bool speaks = world.rank() % c.ranks_per_silo == 0;  // for its group
    const auto group = group_of(c);
    SecureSum secure(world, c.config, c.setup(world), *group);
    std::vector<float> model = c.first_model();
    secure.begin(c.round());
    for (const auto silo : c.hosted(world)) EXPECT_EQ(secure.deadline_of(silo, 5), 5);
    (void)play(world, c, secure, c.round(), model);
    SecureSum again(world, c.config, c.setup(world), *group);
    again.begin(c.round());
    for (const auto silo : c.hosted(world)) {
        if (!speaks) {
            EXPECT_EQ(again.deadline_of(silo, 5), 5) << "who has no ledger is told by the first of its group";
        } else if (silo == 1) {
            EXPECT_LT(again.deadline_of(silo, 5), 1e-6);
            EXPECT_GT(again.deadline_of(silo, 0), 0);
        } else {
            EXPECT_EQ(again.deadline_of(silo, 5), 0);
        }
    }
}

TEST_F(SecureSumTest, TooManyLeaversAreRefused) {
    for (const std::string step : {"keys", "shares", "entry", "signature", "release"}) {
        SecureCase c;
        c.silos = 5;
        c.config.rehearse_leaving = {"1:s0:" + step, "1:s1:" + step};
        const auto group = group_of(c);
        EXPECT_THAT(refusal(c, *group), HasSubstr("secure sum refused")) << step;
    }
}

TEST_F(SecureSumTest, ASumOverFewIsRefused) {
    SecureCase c;
    c.silos = 5;
    c.config.rehearse_leaving = {"1:s0:train", "1:s1:train", "1:s2:train"};
    const auto group = group_of(c);
    EXPECT_THAT(refusal(c, *group), HasSubstr("2 silos of different domains have trained, 3 must have"));
}

TEST_F(SecureSumTest, ASecondSumOverOtherSilosOnOneModelIsRefused) {
    SecureCase c;
    c.silos = 6;
    c.config.weights = "uniform";
    const auto group = group_of(c);
    EXPECT_EQ(refusal(c, *group), "");
    EXPECT_EQ(refusal(c, *group), "") << "the same sum again shows nothing new";
    c.config.rehearse_leaving = {"1:s2:keys"};
    EXPECT_THAT(refusal(c, *group), HasSubstr("shares for a sum over other silos on this model have left before"));
    c.config.rehearse_leaving = {};
    c.spread *= 2;  // other data
    EXPECT_THAT(refusal(c, *group), HasSubstr("gave other words to a sum on this model before"));
}

TEST_F(SecureSumTest, CountsOfSingleSilosDoNotLeakByDifferences) {
    SecureCase c;
    c.silos = 6;
    c.config.rehearse_leaving = {"2:s3:train"};
    const auto group = group_of(c);
    EXPECT_EQ(refusal(c, *group, 1), "");
    group->set_model_hash({1});
    EXPECT_THAT(refusal(c, *group, 2), HasSubstr("would show how many samples silo \"s3\" has"));
}

TEST_F(SecureSumTest, ASiloThatDivergedGivesNothing) {
    for (const int each : group_sizes(world)) {
        SecureCase c;
        c.silos = 5;
        c.ranks_per_silo = each;
        const auto group = group_of(c);
        SecureSum secure(world, c.config, c.setup(world), *group);
        const std::vector<float> model = c.first_model();
        const Round round = c.round();
        testing::internal::CaptureStderr();
        secure.begin(round);
        Given given(secure);
        std::vector<float> local;
        for (const auto silo : c.hosted(world)) {
            local = c.local(silo, model, 1);
            if (silo == 2) local[7] = std::nanf("");
            given.add({.silo = silo, .weight = c.weight(silo), .local = local, .global = model, .steps = 1, .numbers = {}});
        }
        const Aggregate sum = secure.finish(round);
        EXPECT_EQ(sum.trained, 4U);
        EXPECT_EQ(sum.present, 5U);
        EXPECT_EQ(testing::internal::GetCapturedStderr().find("silo \"s2\" gives nothing to round 1") != std::string::npos,
                  in_turn(2, world.size() / each) * each == world.rank())
            << "one rank says so";
    }
}

// As where memory runs out on one rank: the part of the vector that it sends would lack the update.
TEST_F(SecureSumTest, AnUpdateThatOneRankOfAGroupLacksIsRefused) {
    if (world.size() == 1) return;
    SecureCase c;
    c.ranks_per_silo = world.size();
    const auto group = group_of(c);
    SecureSum secure(world, c.config, c.setup(world), *group);
    const std::vector<float> model = c.first_model();
    secure.begin(c.round());
    Given given(secure);
    std::vector<float> local;
    for (const auto silo : c.hosted(world)) {
        local = c.local(silo, model, 1);
        if (silo == 2 && world.rank() == 1) {
            secure.fail(silo, RuntimeError("out of memory"));
        } else {
            given.add({.silo = silo, .weight = c.weight(silo), .local = local, .global = model, .steps = 1, .numbers = {}});
        }
    }
    EXPECT_THROW((void)secure.finish(c.round()), AgreedError);
}

TEST_F(SecureSumTest, SmallSumsAreThoseOfPlainOnes) {
    SecureCase c;
    c.silos = 7;
    c.ranks_per_silo = group_sizes(world).back();
    const auto group = group_of(c);
    const auto secure = make_secure_sums(*group);
    const auto plain = make_plain_sums(world, c.ranks_per_silo);
    WordsOfSilos words;
    for (const auto silo : c.hosted(world)) {
        if (silo != 3) words[silo] = {silo, std::uint64_t{0} - silo, 0x9E3779B97F4A7C15ULL * silo};
    }
    EXPECT_EQ(secure->sum("a", 3, words), plain->sum("a", 3, words));
    for (auto& [silo, of_silo] : words) of_silo[0] += 1;
    EXPECT_THROW((void)secure->sum("a", 3, words), AgreedError) << "other words for the same purpose";
    EXPECT_EQ(secure->sum("b", 3, words), plain->sum("b", 3, words));
}

// Silos of one domain count as one, as they do in the sum itself.
TEST_F(SecureSumTest, EnoughSilosAreThoseOfEnoughDomains) {
    SecureCase c;
    c.silos = 6;
    const TemporaryFolder folder;  // each rank's own, with the same keys
    nlohmann::json roster{{"format", "silosum-roster"}, {"version", 1}, {"silos", nlohmann::json::array()}};
    FixedEntropy entropy(4);
    for (const auto& name : c.names()) {
        const std::string domain = name < "s3" ? "county" : "";
        roster["silos"].push_back(nlohmann::json::parse(make_key_file(folder.path(), name, domain, "2098-12-31", entropy)));
    }
    std::ofstream(folder / "roster.json") << roster.dump();
    c.config.identities = "roster";
    c.config.roster = folder / "roster.json";
    c.config.keys = folder.path();
    const auto group = group_of(c);
    const auto sums = make_secure_sums(*group);
    EXPECT_FALSE(sums->are_enough({true, true, true, false, false, false}));
    EXPECT_FALSE(sums->are_enough({true, true, true, true, false, false}));
    EXPECT_TRUE(sums->are_enough({true, false, false, true, true, false}));
    EXPECT_FALSE(make_plain_sums(world)->are_enough({false, false}));
    EXPECT_TRUE(make_plain_sums(world)->are_enough({false, true}));
}

// Also where a rank is alone on its node while others share a model.
TEST_F(SecureSumTest, TheModelHasOneHashWhereverRanksSit) {
    for (const int ranks_per_node : {0, 1, 2}) {
        SecureCase c;
        c.parameters = 600'000;  // three leaves
        c.ranks_per_node = ranks_per_node;
        const auto group = group_of(c);
        SecureSum secure(world, c.config, c.setup(world), *group);
        Layout layout;
        layout.add("weight", {c.parameters});
        Parameters global = secure.make_model(layout);
        const auto first = c.first_model();
        secure.publish_first(global, [&](std::span<float> values) { std::copy(first.begin(), first.end(), values.begin()); });
        EXPECT_EQ(group->model_hash(), hash_of_model(first, layout.text())) << ranks_per_node;
    }
}

TEST_F(SecureSumTest, NothingProtectsTwoSilos) {
    SecureCase c;
    c.silos = 2;
    EXPECT_THROW((void)group_of(c), AgreedError);
}

}  // namespace
}  // namespace silosum

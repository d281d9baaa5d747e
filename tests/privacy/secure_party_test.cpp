// The protocol among silos in one process: masks cancel for every set of leavers, and nothing plain is ever sent.
#include "privacy/secure_party.hpp"

#include <cstdlib>
#include <numeric>

#include <gmock/gmock.h>

#include "privacy/loopback.hpp"
#include "privacy/secure_plan.hpp"
#include "support/message_of.hpp"

namespace silosum {
namespace {

// The whole protocol; silos leave before entry, or after it (before R4, or between R4 and R5).
void expect_exact_sum(const SecureTerms& terms, const std::vector<bool>& before_entry, const std::vector<bool>& before_signature,
                      const std::vector<bool>& before_release, std::uint64_t seed) {
    Loopback fed(terms, seed);
    fed.begin();
    fed.enter(before_entry);
    auto narrow = sum_members<std::uint32_t>(fed, before_entry, 1, words32);
    auto wide = sum_members<std::uint64_t>(fed, before_entry, 2, words64);
    std::vector<bool> gone = before_entry;
    for (std::uint32_t i = 0; i < terms.silos; ++i) gone[i] = gone[i] || before_signature[i];
    fed.agree(gone);
    for (std::uint32_t i = 0; i < terms.silos; ++i) gone[i] = gone[i] || before_release[i];
    fed.release(gone);
    Unmasking unmasking(*fed.session, fed.members, fed.releases);
    EXPECT_THAT(unmasking.complaints(), testing::IsEmpty());
    EXPECT_NE(narrow.masked, narrow.plain);
    // By slices, as ranks do it.
    unmasking.take_off(1, 0, std::span(narrow.masked).first(48));
    unmasking.take_off(1, 48, std::span(narrow.masked).subspan(48));
    unmasking.take_off(2, 0, std::span(wide.masked));
    EXPECT_EQ(narrow.masked, narrow.plain);
    EXPECT_EQ(wide.masked, wide.plain);
}

TEST(SecureParty, MasksCancelForEveryNumberOfSilos) {
    for (const std::uint32_t silos : {3, 4, 5, 8, 16, 33}) {
        expect_exact_sum(terms_of(silos), none(silos), none(silos), none(silos), silos);
    }
}

TEST(SecureParty, MasksCancelUnderChaCha20) {
    SecureTerms terms = terms_of(5);
    terms.cipher = kernels::Cipher::chacha20;
    expect_exact_sum(terms, none(5), none(5), none(5), 1);
}

// Every silo stays, or leaves before its entry, before R4 or before R5: all 4^n cases of up to eight silos, where enough are left.
TEST(SecureParty, MasksCancelForEverySetOfLeaversAtEveryStep) {
    for (const std::uint32_t silos : {4U, 5U, 6U, 7U, 8U}) {
        const SecureTerms terms = terms_of(silos);
        for (std::uint64_t code = 0; code < std::uint64_t{1} << (2 * silos); ++code) {
            std::vector<bool> when[4] = {none(silos), none(silos), none(silos), none(silos)};
            for (std::uint32_t silo = 0; silo < silos; ++silo) when[code >> (2 * silo) & 3][silo] = true;
            const auto stay = static_cast<std::uint32_t>(std::count(when[0].begin(), when[0].end(), true));
            if (stay < terms.quorum()) continue;
            expect_exact_sum(terms, when[1], when[2], when[3], code);
        }
    }
}

// Random leavers, as many as the plan stands, of federations up to 257 silos. SILOSUM_TRIALS=1000 tries as many of each.
TEST(SecureParty, MasksCancelForRandomLeaversOfManySilos) {
    FixedEntropy dice(21);
    const char* const wanted = std::getenv("SILOSUM_TRIALS");
    for (const std::uint32_t silos : {13U, 33U, 64U, 100U, 257U}) {
        std::vector<RosterEntry> roster(silos);
        for (std::uint32_t silo = 0; silo < silos; ++silo) roster[silo].name = std::to_string(silo);
        const SecurePlan plan = plan_secure_sum(roster, {.corrupt = 0.1, .dropouts = 0.1});
        SecureTerms terms = terms_with(plan, silos);
        terms.vectors = terms_of(3).vectors;
        const std::uint64_t trials = wanted != nullptr ? std::stoull(wanted) : silos < 100 ? 8 : 2;
        for (std::uint64_t trial = 0; trial < trials; ++trial) {
            std::vector<bool> when[4] = {none(silos), none(silos), none(silos), none(silos)};
            for (std::uint32_t left = 0; left < silos / 10; ++left) {
                std::array<std::uint8_t, 3> bytes{};
                dice.fill(bytes);
                const std::uint32_t silo = (bytes[0] * 256U + bytes[1]) % silos;
                for (auto& step : when) step[silo] = false;
                when[bytes[2] % 4][silo] = true;
            }
            expect_exact_sum(terms, when[1], when[2], when[3], trial);
        }
    }
}

TEST(SecureParty, MasksCancelOnSparseGraphs) {
    for (const std::uint32_t silos : {20U, 65U}) {
        SecureTerms terms = terms_of(silos);
        terms.neighbours = 12;
        terms.threshold = 8;
        expect_exact_sum(terms, none(silos), none(silos), none(silos), 1);
        expect_exact_sum(terms, set_of(silos, 0b1000000000010), set_of(silos, 0b10000), set_of(silos, 0b100), 2);
    }
}

// All words of the silos are 0: what is sent and every partial sum of it, as relays see them, must look like noise. Byte by byte,
// 255 degrees of freedom; the limits are those of probability 1e-6 on either side (normal approximation, 4.75 deviations of 22.6).
TEST(SecureParty, WhatIsSentAndEveryPartialSumLooksLikeNoise) {
    constexpr std::uint64_t count = 1 << 20;
    SecureTerms terms = terms_of(4);
    terms.vectors = {{1, 32, count}};
    Loopback fed(terms);
    fed.begin();
    fed.enter(none(4));
    std::vector<std::vector<std::uint32_t>> sent;
    for (auto& party : fed.parties) {
        sent.emplace_back(count, 0);
        party->mask(1, 0, std::span<std::uint32_t>(sent.back()));
    }
    for (std::uint32_t subset = 1; subset < 16; ++subset) {
        std::vector<std::uint32_t> sum(count, 0);
        for (std::uint32_t silo = 0; silo < 4; ++silo) {
            if ((subset >> silo & 1) != 0) add(sum, sent[silo]);
        }
        for (int lane = 0; lane < 4; ++lane) {
            std::array<double, 256> counts{};
            for (const std::uint32_t word : sum) ++counts[word >> (8 * lane) & 0xFF];
            double chi_square = 0;
            for (const double c : counts) chi_square += (c - count / 256.0) * (c - count / 256.0) / (count / 256.0);
            EXPECT_NEAR(chi_square, 255, 4.75 * 22.6) << "subset " << subset << ", byte " << lane;
        }
    }
}

TEST(SecureParty, MasksOfTheSameSilosAreOthersInEveryAttemptRoundAndModel) {
    const auto sent = [](const std::function<void(SecureTerms&)>& change) {
        SecureTerms terms = terms_of(3);
        change(terms);
        Loopback fed(terms);  // the same secrets each time: only the terms differ
        fed.begin();
        fed.enter(none(3));
        std::vector<std::uint32_t> words(words32, 0);
        fed.parties[0]->mask(1, 0, std::span<std::uint32_t>(words));
        return words;
    };
    const auto usual = sent([](SecureTerms&) {});
    EXPECT_EQ(sent([](SecureTerms&) {}), usual);
    EXPECT_NE(sent([](SecureTerms& terms) { ++terms.round; }), usual);
    EXPECT_NE(sent([](SecureTerms& terms) { ++terms.attempt; }), usual);
    EXPECT_NE(sent([](SecureTerms& terms) { terms.model_hash[31] ^= 1; }), usual);
    EXPECT_NE(sent([](SecureTerms& terms) { terms.configuration_hash[0] ^= 1; }), usual);
}

// No message holds four words of what the silos give, in any alignment: words leave under masks only.
TEST(SecureParty, NoMessageHoldsPlainWords) {
    Loopback fed(terms_of(4));
    fed.begin();
    fed.enter(none(4));
    crypto::Bytes transcript;
    const auto keep = [&](crypto::View bytes) { transcript.insert(transcript.end(), bytes.begin(), bytes.end()); };
    std::vector<crypto::Bytes> secrets;
    for (std::uint32_t silo = 0; silo < 4; ++silo) {
        auto words = plain_words<std::uint32_t>(silo, words32);
        for (std::size_t i = 0; i + 4 <= words.size(); ++i) {
            const auto* bytes = reinterpret_cast<const std::uint8_t*>(words.data() + i);
            secrets.emplace_back(bytes, bytes + 16);
        }
        fed.parties[silo]->mask(1, 0, std::span<std::uint32_t>(words));
        keep({reinterpret_cast<const std::uint8_t*>(words.data()), 4 * words.size()});
    }
    fed.agree(none(4));
    fed.release(none(4));
    for (const auto* messages : {&fed.promises, &fed.keys, &fed.entries, &fed.signatures, &fed.releases}) {
        for (const auto& message : *messages) keep(message);
    }
    for (const Letter& letter : fed.letters) keep(letter.bytes);
    for (const auto& secret : secrets) {
        EXPECT_EQ(std::search(transcript.begin(), transcript.end(), secret.begin(), secret.end()), transcript.end());
    }
}

// Random bytes, cut and lengthened messages in every place: refused, and nothing else happens.
TEST(SecureParty, RefusesRandomMessages) {
    FixedEntropy entropy(9);
    const auto spoil = [&](crypto::Bytes& message) {
        std::array<std::uint8_t, 4> dice{};
        entropy.fill(dice);
        switch (dice[0] % 4) {
            case 0:
                message.resize(dice[1]);
                entropy.fill(message);
                break;
            case 1:
                message.resize(message.size() * dice[1] / 256);
                break;
            case 2:
                message.insert(message.end(), 1 + dice[1] % 8, dice[2]);
                break;
            default:
                message[dice[1] % message.size()] ^= static_cast<std::uint8_t>(1 << dice[2] % 8);
        }
    };
    for (int trial = 0; trial < 300; ++trial) {
        Loopback fed(terms_of(4), static_cast<std::uint64_t>(trial));
        const int place = trial % 5;
        const auto silo = static_cast<std::uint32_t>(trial / 5 % 4);
        const auto run = [&] {
            fed.exchange_keys();
            if (place == 0) {
                spoil(fed.keys[silo]);
                fed.open_session();
            }
            fed.deal_shares();
            if (place == 1) spoil(fed.letters[silo * 3].bytes);
            fed.hand_over_shares();
            fed.enter(none(4));
            if (place == 2) {
                spoil(fed.entries[silo]);
                if (fed.entries[silo].empty()) throw Refused(Refusal::bad_message, "an empty entry is a silo that left");
            }
            fed.agree(none(4));
            if (place == 3) {
                // Three of four signatures are enough: all but one must be spoilt for nothing to leave.
                spoil(fed.signatures[silo]);
                spoil(fed.signatures[(silo + 1) % 4]);
            }
            fed.release(none(4));
            if (place == 4) {
                spoil(fed.releases[silo]);
                spoil(fed.releases[(silo + 1) % 4]);
            }
            const Unmasking unmasking(*fed.session, fed.members, fed.releases);
        };
        EXPECT_THROW(run(), Refused) << "trial " << trial;
    }
}

}  // namespace
}  // namespace silosum

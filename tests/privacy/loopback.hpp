// The secure sum among silos in one process, with every message open to a test that changes it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <gmock/gmock.h>

#include "privacy/message.hpp"
#include "privacy/unmasking.hpp"
#include "support/fixed_entropy.hpp"

namespace silosum {

// A federation in one process: every step for all silos, with the messages open to a test that changes them.
struct Loopback {
    explicit Loopback(SecureTerms with, std::uint64_t seed = 1) : terms(std::move(with)) {
        for (std::uint32_t silo = 0; silo < terms.silos; ++silo) {
            entropy.push_back(std::make_unique<FixedEntropy>(seed_of(seed, silo)));
            identities.push_back(crypto::make_signing_keys(*entropy.back()));
            roster.push_back({fmt::format("s{}", silo), identities.back().public_key});
        }
        terms.roster_hash = hash_of_roster(roster);
        for (std::uint32_t silo = 0; silo < terms.silos; ++silo) {
            parties.push_back(std::make_unique<SecureParty>(terms, silo, identities[silo], *entropy[silo]));
        }
    }
    static std::uint64_t seed_of(std::uint64_t seed, std::uint32_t silo) { return seed << 32 | silo; }

    void exchange_keys() {
        for (auto& party : parties) promises.push_back(party->promise());
        for (auto& party : parties) keys.push_back(party->keys(promises));
        open_session();
    }
    void open_session() { session = std::make_shared<const SecureSession>(terms, roster, promises, keys); }
    void deal_shares() {
        for (auto& party : parties) {
            for (Letter& letter : party->shares(session)) letters.push_back(std::move(letter));
        }
    }
    void hand_over_shares() {
        for (std::uint32_t silo = 0; silo < terms.silos; ++silo) {
            std::vector<Letter> own;
            for (const Letter& letter : letters) {
                if (letter.to == silo) own.push_back(letter);
            }
            parties[silo]->take_shares(own);
        }
    }
    void begin() {
        exchange_keys();
        deal_shares();
        hand_over_shares();
    }
    void enter(const std::vector<bool>& leaves_before_entry) {
        for (std::uint32_t silo = 0; silo < terms.silos; ++silo) {
            entries.push_back(leaves_before_entry[silo] ? crypto::Bytes() : parties[silo]->enter(true));
        }
    }
    void agree(const std::vector<bool>& is_gone) {
        members = read_entries(*session, entries);
        for (std::uint32_t silo = 0; silo < terms.silos; ++silo) {
            signatures.push_back(is_gone[silo] ? crypto::Bytes() : parties[silo]->agree_on_members(entries));
        }
    }
    // Where tags are wanted; every silo is a rank. sent[i], sum: the masked words of `vector`, which silo 0 says to be the sum.
    template <class Word>
    void tag(std::uint32_t vector, const std::vector<std::vector<Word>>& sent, const std::vector<Word>& sum) {
        const auto coin = coin_of(*session, members, signatures);
        const SumTags nothing(*session, coin);
        for (std::uint32_t silo = 0; silo < terms.silos; ++silo) {
            SumTags given(*session, coin);
            given.add(vector, 0, std::span<const Word>(sent[silo]));
            SumTags seen(*session, coin);
            if (silo == 0) seen.add(vector, 0, std::span<const Word>(sum));
            tags.push_back(parties[silo]->tags(signatures, given, seen));
        }
    }
    void check_tags() {
        for (auto& party : parties) sums = party->check_tags(tags, SumTags(*session, coin_of(*session, members, signatures)));
    }
    void release(const std::vector<bool>& is_gone) {
        for (std::uint32_t silo = 0; silo < terms.silos; ++silo) {
            releases.push_back(is_gone[silo] ? crypto::Bytes() : parties[silo]->unmask(signatures));
        }
    }

    SecureTerms terms;
    std::vector<std::unique_ptr<FixedEntropy>> entropy;  // by silo
    std::vector<crypto::SigningKeys> identities;
    std::vector<RosterEntry> roster;
    std::vector<std::unique_ptr<SecureParty>> parties;
    std::vector<crypto::Bytes> promises, keys, entries, signatures, tags, releases;
    std::shared_ptr<const SecureSession> session;
    std::vector<Letter> letters;
    SumMembers members;
    crypto::Bytes32 sums{};
};

inline constexpr std::uint64_t words32 = 100;
inline constexpr std::uint64_t words64 = 21;

inline SecureTerms terms_of(std::uint32_t silos) {
    SecureTerms terms;
    terms.round = 7;
    terms.silos = silos;
    terms.neighbours = silos - 1;
    terms.threshold = plan_complete(silos).threshold;
    terms.vectors = {{1, 32, words32}, {2, 64, words64}};
    return terms;
}

inline std::vector<bool> none(std::uint32_t silos) {
    return std::vector<bool>(silos, false);
}
inline std::vector<bool> set_of(std::uint32_t silos, std::uint64_t bits) {
    std::vector<bool> set(silos);
    for (std::uint32_t i = 0; i < silos; ++i) set[i] = i < 64 && (bits >> i & 1) != 0;
    return set;
}

template <class Word>
std::vector<Word> plain_words(std::uint32_t silo, std::uint64_t count) {
    std::vector<Word> words(count);
    for (std::uint64_t i = 0; i < count; ++i) words[i] = static_cast<Word>((silo + 1) * 0x9E3779B97F4A7C15ULL * (i + 3));
    return words;
}

template <class Word>
void add(std::vector<Word>& sum, const std::vector<Word>& words) {
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += words[i];
}

template <class Word>
struct LoopbackSums {
    std::vector<Word> masked;
    std::vector<Word> plain;
    std::vector<std::vector<Word>> sent;  // by silo, empty where it left
};

// Members give words in two chunks.
template <class Word>
LoopbackSums<Word> sum_members(Loopback& fed, const std::vector<bool>& leaves_before_entry, std::uint32_t vector, std::uint64_t count) {
    LoopbackSums<Word> sums{std::vector<Word>(count), std::vector<Word>(count), std::vector<std::vector<Word>>(fed.terms.silos)};
    for (std::uint32_t silo = 0; silo < fed.terms.silos; ++silo) {
        if (leaves_before_entry[silo]) continue;
        auto words = plain_words<Word>(silo, count);
        add(sums.plain, words);
        fed.parties[silo]->mask(vector, 16, std::span<Word>(words).subspan(16));
        fed.parties[silo]->mask(vector, 0, std::span<Word>(words).first(16));
        add(sums.masked, words);
        sums.sent[silo] = words;
    }
    return sums;
}

// Why an action is refused.
inline Refusal reason_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const Refused& refused) {
        EXPECT_THAT(refused.what(), testing::StartsWith("secure sum refused: "));
        return refused.reason;
    }
    ADD_FAILURE() << "nothing was refused";
    return Refusal::terms;
}

}  // namespace silosum

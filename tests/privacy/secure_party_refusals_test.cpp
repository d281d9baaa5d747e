// Every lie that a silo or a relay may tell about the protocol is refused by name.
#include "privacy/secure_party.hpp"

#include <numeric>

#include <gmock/gmock.h>

#include "privacy/loopback.hpp"
#include "support/message_of.hpp"

namespace silosum {
namespace {

TEST(SecureTerms, AreRefusedWhereTheyProtectNobody) {
    const auto refuses = [](const std::function<void(SecureTerms&)>& change, const char* text) {
        SecureTerms terms = terms_of(9);
        EXPECT_NO_THROW(terms.check());
        change(terms);
        EXPECT_EQ(reason_of([&] { terms.check(); }), Refusal::terms) << text;
        EXPECT_THAT(message_of<Refused>([&] { terms.check(); }), testing::HasSubstr(text));
    };
    refuses([](SecureTerms& terms) { terms = terms_of(2); }, "2 silos");
    refuses([](SecureTerms& terms) { terms.least_trained = 2; }, "at least 2 silos in a sum");
    refuses([](SecureTerms& terms) { terms.corrupt = terms.corrupt_domains = 2; }, "at least 3 silos in a sum: must be from 4");
    refuses([](SecureTerms& terms) { terms.least_trained = 10; }, "at least 10 silos");
    refuses([](SecureTerms& terms) { terms.threshold = 4; }, "4 shares open a mask: with 9 silos");
    refuses([](SecureTerms& terms) { terms.threshold = 10; }, "10 shares open a mask");
    refuses(
        [](SecureTerms& terms) {
            terms.corrupt = terms.corrupt_domains = 7;
            terms.least_trained = 9;
        },
        "7 shares open a mask: must be more than the 7");
    refuses([](SecureTerms& terms) { terms.neighbours = 5; }, "5 neighbours of 9");
    refuses([](SecureTerms& terms) { terms.vectors[1].id = 1; }, "two vectors of number 1");
    refuses([](SecureTerms& terms) { terms.vectors[0].ring_bits = 16; }, "words of 16 bits");
    refuses([](SecureTerms& terms) { terms.vectors[0].words = std::uint64_t{1} << 40; }, "a key stream has");
}

TEST(SecureSession, RefusesKeysThatTheRosterDoesNotKnow) {
    Loopback fed(terms_of(4));
    fed.exchange_keys();
    fed.roster[2].public_key[0] ^= 1;
    EXPECT_EQ(reason_of([&] { fed.open_session(); }), Refusal::bad_signature);
    EXPECT_THAT(message_of<Refused>([&] { fed.open_session(); }), testing::HasSubstr("silo \"s2\""));
}

// A relay that puts its own keys in a silo's place, bit by bit and whole.
TEST(SecureSession, RefusesChangedReplayedSwappedAndCutKeys) {
    Loopback fed(terms_of(4));
    fed.exchange_keys();
    const auto good = fed.keys;
    for (std::size_t i = 0; i < good[1].size(); ++i) {
        fed.keys = good;
        fed.keys[1][i] ^= 1;
        EXPECT_THROW(fed.open_session(), Refused) << "byte " << i;
    }
    fed.keys = good;
    std::swap(fed.keys[1], fed.keys[2]);
    EXPECT_EQ(reason_of([&] { fed.open_session(); }), Refusal::bad_message);
    fed.keys = good;
    fed.keys[1].pop_back();
    EXPECT_EQ(reason_of([&] { fed.open_session(); }), Refusal::bad_message);
    fed.keys[1].clear();
    EXPECT_EQ(reason_of([&] { fed.open_session(); }), Refusal::bad_message);
    fed.keys = good;
    Loopback other(terms_of(4), 1);  // the same identities in an earlier attempt
    other.terms.attempt = 1;
    EXPECT_EQ(reason_of([&] { SecureSession(other.terms, fed.roster, fed.promises, good); }), Refusal::other_terms);
}

TEST(SecureSession, RefusesANumberThatWasNotPromised) {
    Loopback fed(terms_of(4));
    fed.exchange_keys();
    // Signed anew by the silo itself, which has seen the others' numbers.
    FixedEntropy entropy(5);
    KeysMessage message{.silo = 3, .nonce = {}, .ring_number = {}, .keys = {}};
    message.keys = {crypto::make_exchange_keys(entropy).public_key, crypto::make_exchange_keys(entropy).public_key, {}};
    fed.keys[3] = sign_keys(message, fed.terms, hash_of_promises(fed.promises), fed.identities[3]);
    EXPECT_EQ(reason_of([&] { fed.open_session(); }), Refusal::broken_promise);
}

// Silo 3 has seen the others' keys before it sends its own, and keeps the number that it promised.
TEST(SecureSession, RefusesAKeyThatIsThereTwice) {
    Loopback fed(terms_of(4));
    FixedEntropy entropy(5);
    KeysMessage message{.silo = 3, .nonce = {}, .ring_number = {}, .keys = {}};
    const auto promise = promise_of(fed.terms, 3, "ring", message.ring_number);
    for (auto& party : fed.parties) fed.promises.push_back(party->promise());
    fed.promises[3] = {promise.begin(), promise.end()};
    for (auto& party : fed.parties) fed.keys.push_back(party->keys(fed.promises));
    const auto send = [&](const crypto::Bytes32& sealing_key, const crypto::Bytes32& masking_key) {
        message.keys = {sealing_key, masking_key, {}};
        fed.keys[3] = sign_keys(message, fed.terms, hash_of_promises(fed.promises), fed.identities[3]);
        fed.open_session();
    };
    const auto one = crypto::make_exchange_keys(entropy).public_key;
    const auto two = crypto::make_exchange_keys(entropy).public_key;
    EXPECT_NO_THROW(send(one, two));
    const auto of_silo_0 = fed.session->keys_of(0);
    EXPECT_EQ(reason_of([&] { send(one, one); }), Refusal::repeated_key);
    EXPECT_EQ(reason_of([&] { send(one, of_silo_0.masking_key); }), Refusal::repeated_key);
    EXPECT_EQ(reason_of([&] { send(of_silo_0.masking_key, two); }), Refusal::repeated_key);
    EXPECT_EQ(reason_of([&] { send(of_silo_0.sealing_key, two); }), Refusal::repeated_key);
}

// A key that makes every shared secret zero would let everybody compute masks and open letters.
TEST(SecureParty, RefusesKeysThatGiveAKnownSecret) {
    for (const bool is_sealing_key : {true, false}) {
        Loopback fed(terms_of(4));
        KeysMessage message{.silo = 3, .nonce = {}, .ring_number = {}, .keys = {}};
        const auto promise = promise_of(fed.terms, 3, "ring", message.ring_number);
        for (auto& party : fed.parties) fed.promises.push_back(party->promise());
        fed.promises[3] = {promise.begin(), promise.end()};
        for (auto& party : fed.parties) fed.keys.push_back(party->keys(fed.promises));
        FixedEntropy entropy(5);
        const auto good = crypto::make_exchange_keys(entropy).public_key;
        message.keys = {is_sealing_key ? crypto::Bytes32{} : good, is_sealing_key ? good : crypto::Bytes32{}, {}};
        fed.keys[3] = sign_keys(message, fed.terms, hash_of_promises(fed.promises), fed.identities[3]);
        fed.open_session();
        const auto whole = [&] {
            std::vector<Letter> to_0;
            (void)fed.parties[0]->shares(fed.session);
            for (std::uint32_t from = 1; from < 3; ++from) {
                for (Letter& letter : fed.parties[from]->shares(fed.session)) {
                    if (letter.to == 0) to_0.push_back(std::move(letter));
                }
            }
            fed.parties[0]->take_shares(to_0);
            (void)fed.parties[0]->enter(true);
        };
        // With a good sealing key silo 0 stops for want of silo 3's letter, before it uses the masking key.
        EXPECT_EQ(reason_of(whole), is_sealing_key ? Refusal::zero_secret : Refusal::bad_shares);
        if (!is_sealing_key) {
            MaskStreams streams;
            FixedEntropy other(6);
            const auto own = crypto::make_exchange_keys(other);
            EXPECT_EQ(reason_of([&] {
                          add_pair_mask(streams, *fed.session, 0, 3, own.secret_key, fed.session->keys_of(3).masking_key,
                                        kernels::Sign::plus);
                      }),
                      Refusal::zero_secret);
        }
    }
}

TEST(SecureParty, RefusesASessionInWhichItsOwnKeysAreOthers) {
    Loopback fed(terms_of(4));
    fed.exchange_keys();
    // A relay that knows silo 1's identity shows silo 1 a session with other keys of it.
    FixedEntropy entropy(5);
    SecureParty twin(fed.terms, 1, fed.identities[1], entropy);
    fed.promises[1] = twin.promise();
    EXPECT_EQ(reason_of([&] { fed.open_session(); }), Refusal::other_terms);
    Loopback again(terms_of(4), 1);
    for (auto& party : again.parties) again.promises.push_back(party->promise());
    SecureParty other(again.terms, 1, again.identities[1], entropy);
    again.promises[1] = other.promise();
    for (auto& party : again.parties) again.keys.push_back(party->keys(again.promises));
    again.keys[1] = other.keys(again.promises);
    again.open_session();
    EXPECT_EQ(reason_of([&] { (void)again.parties[1]->shares(again.session); }), Refusal::own_message);
}

TEST(SecureParty, RefusesSharesThatWereChangedSwappedRepeatedOrAreMissing) {
    const auto reason = [](const std::function<void(std::vector<Letter>&)>& change) {
        Loopback fed(terms_of(4));
        fed.exchange_keys();
        fed.deal_shares();
        change(fed.letters);
        return reason_of([&] { fed.hand_over_shares(); });
    };
    EXPECT_EQ(reason([](auto& letters) { letters[0].bytes[5] ^= 1; }), Refusal::bad_shares);
    EXPECT_EQ(reason([](auto& letters) { letters[0].bytes.pop_back(); }), Refusal::bad_shares);
    EXPECT_EQ(reason([](auto& letters) { letters[0].bytes.clear(); }), Refusal::bad_shares);
    EXPECT_EQ(reason([](auto& letters) { letters.erase(letters.begin()); }), Refusal::bad_shares);
    EXPECT_EQ(reason([](auto& letters) { std::swap(letters[0].bytes, letters[1].bytes); }), Refusal::bad_shares);
    EXPECT_EQ(reason([](auto& letters) { letters.push_back(letters[0]); }), Refusal::bad_message);
    EXPECT_EQ(reason([](auto& letters) { letters[0].from = 99; }), Refusal::bad_message);
    // The letter that silo 1 sent to silo 0, sent back to silo 1 as silo 0's.
    EXPECT_EQ(reason([](auto& letters) {
                  const auto back = std::find_if(letters.begin(), letters.end(), [](auto& l) { return l.from == 1 && l.to == 0; });
                  const auto there = std::find_if(letters.begin(), letters.end(), [](auto& l) { return l.from == 0 && l.to == 1; });
                  there->bytes = back->bytes;
              }),
              Refusal::bad_shares);
}

struct Masking : testing::Test {
    Loopback fed{terms_of(5)};
    void SetUp() override {
        fed.begin();
        fed.enter(none(5));
    }
    std::vector<std::uint32_t> words = std::vector<std::uint32_t>(words32);
};

TEST_F(Masking, RefusesToMaskWordsTwice) {
    const auto mask = [&](std::uint64_t first, std::uint64_t count) {
        fed.parties[0]->mask(1, first, std::span<std::uint32_t>(words).first(count));
    };
    mask(32, 16);
    mask(48, 16);
    for (const auto& [first, count] : {std::pair<int, int>{32, 16}, {32, 1}, {48, 1}, {16, 17}, {0, 100}}) {
        EXPECT_EQ(reason_of([&, f = first, c = count] { mask(f, c); }), Refusal::range_given_twice) << first;
    }
    EXPECT_NO_THROW(mask(16, 16));
    EXPECT_NO_THROW(mask(64, 36));
    EXPECT_EQ(reason_of([&] { mask(96, 5); }), Refusal::range_given_twice);  // the vector ends at 100
    std::vector<std::uint64_t> wide(4);
    EXPECT_EQ(reason_of([&] { fed.parties[0]->mask(1, 0, std::span<std::uint64_t>(wide)); }), Refusal::range_given_twice);
    EXPECT_EQ(reason_of([&] { fed.parties[0]->mask(9, 0, std::span<std::uint32_t>(words)); }), Refusal::range_given_twice);
}

TEST_F(Masking, RefusesToMaskAfterTheMembersAreSigned) {
    fed.agree(none(5));
    EXPECT_EQ(reason_of([&] { fed.parties[0]->mask(1, 0, std::span<std::uint32_t>(words)); }), Refusal::out_of_order);
}

TEST_F(Masking, RefusesEntriesThatAreNotSignedForThisAttempt) {
    const auto good = fed.entries;
    const auto reason = [&](const std::function<void(std::vector<crypto::Bytes>&)>& change) {
        auto entries = good;
        change(entries);
        return reason_of([&] { (void)read_entries(*fed.session, entries); });
    };
    EXPECT_EQ(reason([](auto& entries) { entries[1][0] ^= 1; }), Refusal::bad_signature);  // "has trained"
    EXPECT_EQ(reason([](auto& entries) { entries[1][0] = 2; }), Refusal::bad_message);
    EXPECT_EQ(reason([](auto& entries) { entries[1][40] ^= 1; }), Refusal::bad_signature);
    EXPECT_EQ(reason([](auto& entries) { entries[1] = entries[2]; }), Refusal::bad_signature);
    EXPECT_EQ(reason([](auto& entries) { entries[1].pop_back(); }), Refusal::bad_message);
    EXPECT_EQ(reason([](auto& entries) { entries.pop_back(); }), Refusal::bad_message);
    Loopback earlier(terms_of(5), 2);
    earlier.begin();
    earlier.enter(none(5));
    EXPECT_EQ(reason([&](auto& entries) { entries[1] = earlier.entries[1]; }), Refusal::bad_signature);
}

// A relay that makes a silo silent after its entry: the others would sum without it.
TEST_F(Masking, RefusesMembersWithoutItselfOnceItHasEntered) {
    fed.entries[1].clear();
    EXPECT_EQ(reason_of([&] { (void)fed.parties[1]->agree_on_members(fed.entries); }), Refusal::own_message);
    EXPECT_NO_THROW((void)fed.parties[0]->agree_on_members(fed.entries));
}

TEST(SecureParty, RefusesASumInWhichTooFewHaveTrained) {
    Loopback fed(terms_of(5));
    fed.begin();
    for (std::uint32_t silo = 0; silo < 5; ++silo) fed.entries.push_back(fed.parties[silo]->enter(silo < 2));
    EXPECT_EQ(reason_of([&] { (void)fed.parties[0]->agree_on_members(fed.entries); }), Refusal::too_few_trained);
}

TEST(SecureParty, RefusesASumThatTooManyHaveLeft) {
    Loopback fed(terms_of(5));  // four shares open a mask
    fed.begin();
    fed.enter(set_of(5, 0b11));
    EXPECT_EQ(reason_of([&] { (void)fed.parties[2]->agree_on_members(fed.entries); }), Refusal::too_few_shares);
}

// Whoever carries messages tells some silos that silo 4 is in and others that it has left, to get shares of both its secrets.
TEST_F(Masking, ReleasesNothingWhereOthersSignedOtherMembers) {
    auto without_4 = fed.entries;
    without_4[4].clear();
    for (std::uint32_t silo = 0; silo < 5; ++silo) {
        fed.signatures.push_back(fed.parties[silo]->agree_on_members(silo < 2 ? without_4 : fed.entries));
    }
    for (auto& party : fed.parties) EXPECT_EQ(reason_of([&] { (void)party->unmask(fed.signatures); }), Refusal::too_few_agree);
}

TEST_F(Masking, ReleasesNothingOnForgedReplayedOrMissingSignatures) {
    fed.agree(none(5));
    auto signatures = fed.signatures;
    for (std::uint32_t silo = 3; silo < 5; ++silo) signatures[silo] = signatures[0];
    EXPECT_EQ(reason_of([&] { (void)fed.parties[0]->unmask(signatures); }), Refusal::too_few_agree);
    signatures = fed.signatures;
    for (std::uint32_t silo = 3; silo < 5; ++silo) signatures[silo].clear();
    EXPECT_EQ(reason_of([&] { (void)fed.parties[1]->unmask(signatures); }), Refusal::too_few_agree);
    EXPECT_EQ(reason_of([&] { (void)fed.parties[2]->unmask({}); }), Refusal::too_few_agree);
}

TEST_F(Masking, ReleasesSharesOnceOnly) {
    fed.agree(none(5));
    fed.release(none(5));
    EXPECT_EQ(reason_of([&] { (void)fed.parties[0]->unmask(fed.signatures); }), Refusal::out_of_order);
    EXPECT_EQ(reason_of([&] { (void)fed.parties[0]->agree_on_members(fed.entries); }), Refusal::out_of_order);
}

// What was refused once is not asked again with better messages.
TEST_F(Masking, ReleasesNothingAfterARefusal) {
    fed.agree(none(5));
    EXPECT_EQ(reason_of([&] { (void)fed.parties[0]->unmask({}); }), Refusal::too_few_agree);
    EXPECT_EQ(reason_of([&] { (void)fed.parties[0]->unmask(fed.signatures); }), Refusal::out_of_order);
}

// Exactly one kind of share for each silo, whatever happens: own masks of members, masking keys of leavers.
TEST(SecureParty, NeverReleasesBothSharesOfASilo) {
    Loopback fed(terms_of(7));
    fed.begin();
    const auto left = set_of(7, 0b101);
    fed.enter(left);
    fed.agree(left);
    fed.release(left);
    for (const auto& release : fed.releases) {
        if (release.empty()) continue;
        ASSERT_EQ(release.size(), 7 * 45 + 64U);
        for (std::uint32_t dealer = 0; dealer < 7; ++dealer) {
            EXPECT_EQ(release[45 * dealer], dealer);
            EXPECT_EQ(release[45 * dealer + 4], left[dealer] ? 2 : 1);
        }
    }
}

struct Releasing : Masking {
    std::vector<std::uint32_t> masked, plain;
    void SetUp() override {
        Masking::SetUp();
        auto sums = sum_members<std::uint32_t>(fed, none(5), 1, words32);
        masked = sums.masked;
        plain = sums.plain;
        fed.agree(none(5));
        fed.release(none(5));
    }
    // A release that silo 0 signs itself, with another share of silo 2's secret.
    void lie_about_a_share() {
        auto shares = crypto::Bytes(fed.releases[0].begin(), fed.releases[0].end() - 64);
        shares[2 * 45 + 5] ^= 1;
        MessageWriter part;
        part.label("silosum/v1/release").field(fed.session->id()).number(std::uint32_t{0}).field(crypto::Bytes32{}).field(shares);
        fed.releases[0] = MessageWriter().field(shares).field(crypto::sign(fed.identities[0], part.bytes())).bytes();
    }
};

TEST_F(Releasing, FindsTheWrongShareAndSumsWithoutIt) {
    lie_about_a_share();
    Unmasking unmasking(*fed.session, fed.members, fed.releases);
    EXPECT_THAT(unmasking.complaints(), testing::ElementsAre("the share of silo \"s2\" that silo \"s0\" released does not fit"));
    unmasking.take_off(1, 0, std::span(masked));
    EXPECT_EQ(masked, plain);
}

// Silos that release nothing but wrong shares are found out in a federation of any size.
TEST(SecureParty, SumsWithoutTheSharesOfThoseWhoLieAboutAll) {
    for (const std::uint32_t silos : {10U, 15U, 31U}) {
        for (const std::vector<std::uint32_t>& liars :
             {std::vector<std::uint32_t>{0}, {3}, {silos - 1}, {0, 4}, {0, silos / 3}, {1, 5, silos - 1}}) {
            Loopback fed(terms_of(silos));
            fed.begin();
            fed.enter(none(silos));
            auto sums = sum_members<std::uint32_t>(fed, none(silos), 1, words32);
            fed.agree(none(silos));
            fed.release(none(silos));
            for (const std::uint32_t liar : liars) {
                auto shares = crypto::Bytes(fed.releases[liar].begin(), fed.releases[liar].end() - 64);
                for (std::uint32_t dealer = 0; dealer < silos; ++dealer) shares[45 * dealer + 5] ^= 1;
                MessageWriter part;
                part.label("silosum/v1/release").field(fed.session->id()).number(liar).field(crypto::Bytes32{}).field(shares);
                fed.releases[liar] = MessageWriter().field(shares).field(crypto::sign(fed.identities[liar], part.bytes())).bytes();
            }
            Unmasking unmasking(*fed.session, fed.members, fed.releases);
            unmasking.take_off(1, 0, std::span(sums.masked));
            EXPECT_EQ(sums.masked, sums.plain) << silos;
            EXPECT_TRUE(liars.front() != 0 || unmasking.complaints().size() == liars.size() * silos);
        }
    }
}

TEST_F(Releasing, RefusesWhereTooFewGoodSharesAreLeft) {
    lie_about_a_share();
    fed.releases[1].clear();
    EXPECT_EQ(reason_of([&] { Unmasking(*fed.session, fed.members, fed.releases); }), Refusal::too_few_shares);
}

TEST_F(Releasing, PassesOverReleasesThatAreCutOrForged) {
    fed.releases[0][7] ^= 1;
    Unmasking unmasking(*fed.session, fed.members, fed.releases);
    EXPECT_THAT(unmasking.complaints(), testing::ElementsAre(testing::HasSubstr("silo \"s0\" released are no message of it")));
    unmasking.take_off(1, 0, std::span(masked));
    EXPECT_EQ(masked, plain);
    fed.releases[1].resize(100);
    EXPECT_EQ(reason_of([&] { Unmasking(*fed.session, fed.members, fed.releases); }), Refusal::too_few_shares);
}

TEST(SecureParty, TakesEveryStepOnceAndInOrder) {
    const auto refuses = [](const std::function<void(Loopback&)>& action) {
        Loopback fed(terms_of(4));
        EXPECT_EQ(reason_of([&] { action(fed); }), Refusal::out_of_order);
    };
    refuses([](Loopback& fed) { (void)fed.parties[0]->keys({}); });
    refuses([](Loopback& fed) {
        (void)fed.parties[0]->promise();
        (void)fed.parties[0]->promise();
    });
    refuses([](Loopback& fed) { (void)fed.parties[0]->shares(nullptr); });
    refuses([](Loopback& fed) { fed.parties[0]->take_shares({}); });
    refuses([](Loopback& fed) { (void)fed.parties[0]->enter(true); });
    refuses([](Loopback& fed) { (void)fed.parties[0]->agree_on_members({}); });
    refuses([](Loopback& fed) { (void)fed.parties[0]->unmask({}); });
    refuses([](Loopback& fed) {
        fed.begin();
        (void)fed.parties[0]->shares(fed.session);
    });
    refuses([](Loopback& fed) {
        std::vector<std::uint32_t> words(16);
        fed.begin();
        fed.parties[0]->mask(1, 0, std::span<std::uint32_t>(words));
    });
}

}  // namespace
}  // namespace silosum

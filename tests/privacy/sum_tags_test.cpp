// Tags find every change of words or of their sum that was made without knowing the coin, and no share leaves without them.
#include "privacy/sum_tags.hpp"

#include <gmock/gmock.h>

#include "privacy/loopback.hpp"

namespace silosum {
namespace {

template <class Word>
struct Tagged : testing::Test {
    static constexpr std::uint32_t silos = 5;
    static constexpr std::uint32_t vector = sizeof(Word) == 4 ? 1 : 2;
    static constexpr std::uint64_t count = sizeof(Word) == 4 ? words32 : words64;

    static SecureTerms terms() {
        SecureTerms terms = terms_of(silos);
        terms.wants_tags = true;
        return terms;
    }
    Loopback fed{terms()};
    std::vector<std::vector<Word>> sent;
    std::vector<Word> sum = std::vector<Word>(count);
    std::vector<Word> plain = std::vector<Word>(count);

    void SetUp() override {
        fed.begin();
        fed.enter(none(silos));
        for (std::uint32_t silo = 0; silo < silos; ++silo) {
            sent.push_back(plain_words<Word>(silo, count));
            add(plain, sent.back());
            fed.parties[silo]->mask(vector, 0, std::span<Word>(sent.back()));
            add(sum, sent.back());
        }
        fed.agree(none(silos));
    }
    void finish() {
        fed.tag(vector, sent, sum);
        fed.check_tags();
        fed.release(none(silos));
    }
    // Every silo refuses by itself.
    void expect_tampered() {
        fed.tag(vector, sent, sum);
        const SumTags here(*fed.session, coin_of(*fed.session, fed.members, fed.signatures));
        for (auto& party : fed.parties) {
            EXPECT_EQ(reason_of([&] { party->check_tags(fed.tags, here); }), Refusal::tampered);
            EXPECT_EQ(reason_of([&] { (void)party->unmask(fed.signatures); }), Refusal::out_of_order);
        }
    }
};
using Words = testing::Types<std::uint32_t, std::uint64_t>;
TYPED_TEST_SUITE(Tagged, Words);

TYPED_TEST(Tagged, AnUnchangedSumIsUnmasked) {
    this->finish();
    Unmasking unmasking(*this->fed.session, this->fed.members, this->fed.releases, this->fed.sums);
    unmasking.take_off(this->vector, 0, std::span(this->sum));
    EXPECT_EQ(this->sum, this->plain);
}

// The last bit of a word is where every second subset misses a change at most.
TYPED_TEST(Tagged, OneChangedBitOfTheSumIsRefused) {
    this->sum.back() ^= TypeParam{1} << (8 * sizeof(TypeParam) - 1);
    this->expect_tampered();
}

TYPED_TEST(Tagged, ChangesThatCancelInThePlainSumOfWordsAreRefused) {
    this->sum[3] += 5;
    this->sum[4] -= 5;
    this->expect_tampered();
}

TYPED_TEST(Tagged, WordsThatASiloDidNotSendAreRefused) {
    this->sent[2][0] += 1;  // another word than that in the sum
    this->expect_tampered();
}

// A sum that each rank has as a whole, of which a relay gives one rank another: that one refuses, and the others' shares are not for it.
TYPED_TEST(Tagged, ASumThatOneRankSeesOtherwiseIsRefusedThere) {
    const std::vector<TypeParam> nothing(this->count);
    this->fed.tag(this->vector, this->sent, nothing);
    const auto coin = coin_of(*this->fed.session, this->fed.members, this->fed.signatures);
    SumTags right(*this->fed.session, coin);
    right.add(this->vector, 0, std::span<const TypeParam>(this->sum));
    const auto changed_sum = [&] {
        auto changed = this->sum;
        changed[7] += 1;
        return changed;
    }();
    SumTags wrong(*this->fed.session, coin);
    wrong.add(this->vector, 0, std::span<const TypeParam>(changed_sum));
    crypto::Bytes32 sums{};
    for (std::uint32_t silo = 0; silo < this->silos; ++silo) {
        if (silo == 3) {
            EXPECT_EQ(reason_of([&] { this->fed.parties[silo]->check_tags(this->fed.tags, wrong); }), Refusal::tampered);
            this->fed.releases.emplace_back();
            continue;
        }
        sums = this->fed.parties[silo]->check_tags(this->fed.tags, right);
        this->fed.releases.push_back(this->fed.parties[silo]->unmask(this->fed.signatures));
    }
    EXPECT_NO_THROW(Unmasking(*this->fed.session, this->fed.members, this->fed.releases, sums));
    sums[0] ^= 1;
    EXPECT_EQ(reason_of([&] { Unmasking(*this->fed.session, this->fed.members, this->fed.releases, sums); }), Refusal::too_few_shares);
}

// A silo that helps a relay signs other tags for one rank than for the others: what that rank is shown fits, but shares are not for it.
TYPED_TEST(Tagged, SharesAreForOneSumOnly) {
    auto& all = this->fed;
    all.tag(this->vector, this->sent, std::vector<TypeParam>(this->count));
    const auto coin = coin_of(*all.session, all.members, all.signatures);
    const auto tags_of = [&](std::vector<TypeParam> words, TypeParam change) {
        words[7] += change;
        SumTags tags(*all.session, coin);
        tags.add(this->vector, 0, std::span<const TypeParam>(words));
        return tags;
    };
    const auto tags = MessageWriter().field(tags_of(this->sent[2], 1).bytes()).field(SumTags(*all.session, coin).bytes()).bytes();
    const auto part =
        MessageWriter().label("silosum/v1/tags").field(all.session->id()).number(std::uint32_t{2}).field(coin).field(tags).bytes();
    auto shown_to_3 = all.tags;
    shown_to_3[2] = MessageWriter().field(tags).field(crypto::sign(all.identities[2], part)).bytes();
    const auto of_3 = all.parties[3]->check_tags(shown_to_3, tags_of(this->sum, 1));
    for (std::uint32_t silo = 0; silo < this->silos; ++silo) {
        if (silo != 3) all.sums = all.parties[silo]->check_tags(all.tags, tags_of(this->sum, 0));
        all.releases.push_back(all.parties[silo]->unmask(all.signatures));
    }
    EXPECT_NO_THROW(Unmasking(*all.session, all.members, all.releases, all.sums));
    EXPECT_EQ(reason_of([&] { Unmasking(*all.session, all.members, all.releases, of_3); }), Refusal::too_few_shares);
}

TYPED_TEST(Tagged, ForgedReplayedSwappedOrMissingTagsAreRefused) {
    this->fed.tag(this->vector, this->sent, this->sum);
    const auto good = this->fed.tags;
    const SumTags here(*this->fed.session, coin_of(*this->fed.session, this->fed.members, this->fed.signatures));
    std::uint32_t next = 0;
    const auto reason = [&](const std::function<void(std::vector<crypto::Bytes>&)>& change) {
        auto tags = good;
        change(tags);
        return reason_of([&] { this->fed.parties[next++]->check_tags(tags, here); });
    };
    EXPECT_EQ(reason([](auto& tags) { tags[1][3] ^= 1; }), Refusal::tampered);
    EXPECT_EQ(reason([](auto& tags) { std::swap(tags[1], tags[2]); }), Refusal::tampered);
    EXPECT_EQ(reason([](auto& tags) { tags[3].clear(); }), Refusal::tampered);
    EXPECT_EQ(reason([](auto& tags) { tags[4].pop_back(); }), Refusal::tampered);
    SecureTerms terms = this->terms();
    terms.attempt = 1;
    Loopback earlier(terms);  // the same identities
    earlier.begin();
    earlier.enter(none(this->silos));
    earlier.agree(none(this->silos));
    earlier.tag(this->vector, this->sent, this->sum);
    EXPECT_EQ(reason([&](auto& tags) { tags[2] = earlier.tags[2]; }), Refusal::tampered);
}

TYPED_TEST(Tagged, ACoinThatWasNotPromisedIsRefused) {
    this->fed.signatures[1].back() ^= 1;
    EXPECT_EQ(reason_of([&] { this->finish(); }), Refusal::broken_promise);
    const auto coin = this->fed.terms.hash();  // any
    const SumTags nothing(*this->fed.session, coin);
    EXPECT_EQ(reason_of([&] { (void)this->fed.parties[0]->tags(this->fed.signatures, nothing, nothing); }), Refusal::broken_promise);
    this->fed.signatures[1].resize(64);  // a silo that keeps its coin
    EXPECT_EQ(reason_of([&] { (void)this->fed.parties[2]->tags(this->fed.signatures, nothing, nothing); }), Refusal::broken_promise);
}

TYPED_TEST(Tagged, NoShareLeavesBeforeTagsWereCompared) {
    EXPECT_EQ(reason_of([&] { (void)this->fed.parties[0]->unmask(this->fed.signatures); }), Refusal::out_of_order);
    const auto coin = coin_of(*this->fed.session, this->fed.members, this->fed.signatures);
    const SumTags nothing(*this->fed.session, coin);
    (void)this->fed.parties[1]->tags(this->fed.signatures, nothing, nothing);
    EXPECT_EQ(reason_of([&] { (void)this->fed.parties[1]->unmask(this->fed.signatures); }), Refusal::out_of_order);
    EXPECT_EQ(reason_of([&] { (void)this->fed.parties[2]->tags(this->fed.signatures, SumTags(*this->fed.session, {}), nothing); }),
              Refusal::own_message);
}

// Words that change places are other words, wherever they are added.
TEST(SumTags, DependOnThePlaceAndTheVectorOfAWord) {
    SecureTerms terms = Tagged<std::uint32_t>::terms();
    terms.vectors = {{1, 32, 5000}, {2, 32, 5000}};
    Loopback fed(terms);
    fed.exchange_keys();
    const std::vector<std::uint32_t> words(1500, 7);
    const auto bytes_of = [&](std::uint32_t vector, std::uint64_t first) {
        SumTags tags(*fed.session, {});
        tags.add(vector, first, std::span<const std::uint32_t>(words));
        SumTags::Rows rows(2);
        tags.add_to(rows);
        return rows[vector - 1];
    };
    EXPECT_EQ(bytes_of(1, 0), bytes_of(1, 0));
    EXPECT_NE(bytes_of(1, 0), bytes_of(1, 16));
    EXPECT_NE(bytes_of(1, 0), bytes_of(2, 0));
    SumTags in_parts(*fed.session, {});
    in_parts.add(1, 1024, std::span<const std::uint32_t>(words).subspan(1024));
    in_parts.add(1, 0, std::span<const std::uint32_t>(words).first(1024));
    SumTags::Rows rows(2);
    in_parts.add_to(rows);
    EXPECT_EQ(rows[0], bytes_of(1, 0));
}

// No silo knows the coin before all members have shown theirs, and none can be another's.
TEST(SumTags, TheCoinIsThatOfAllMembersAndOfThisSession) {
    const auto coin = [](std::uint64_t seed, std::uint64_t round) {
        SecureTerms terms = Tagged<std::uint32_t>::terms();
        terms.round = round;
        Loopback fed(terms, seed);
        fed.begin();
        fed.enter(none(5));
        fed.agree(none(5));
        return coin_of(*fed.session, fed.members, fed.signatures);
    };
    EXPECT_EQ(coin(1, 1), coin(1, 1));
    EXPECT_NE(coin(1, 1), coin(2, 1));
    EXPECT_NE(coin(1, 1), coin(1, 2));
}

}  // namespace
}  // namespace silosum

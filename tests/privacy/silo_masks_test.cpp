// Ranks of a group share the masks of their silo: the words that they hide are those that one rank would have hidden, and no word is
// hidden twice, by one of them or by two.
#include "privacy/silo_masks.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "privacy/loopback.hpp"

namespace silosum {
namespace {

constexpr std::uint32_t vector = 1;

class SharedMasks : public testing::TestWithParam<kernels::Cipher> {
protected:
    SharedMasks() : alone(terms(), 3), together(terms(), 3) {
        for (Loopback* fed : {&alone, &together}) {  // the same entropy: the same masks
            fed->begin();
            fed->enter(none(5));
        }
    }
    static SecureTerms terms() {
        SecureTerms terms = terms_of(5);
        terms.cipher = GetParam();
        return terms;
    }
    // Of the silo that adds some streams and takes others.
    SecureParty& first() { return *together.parties[2]; }
    [[nodiscard]] SiloMasks second(const crypto::Bytes& keys, WordRanges ranges) const {
        SiloMasks masks(together.terms.vectors, "silo");
        masks.streams().add_keys(vector, GetParam(), keys);
        masks.keep_to(vector, std::move(ranges));
        return masks;
    }
    std::vector<std::uint32_t> words = plain_words<std::uint32_t>(2, words32);

    Loopback alone;
    Loopback together;
};

TEST_P(SharedMasks, HideWordsAsOneRankWould) {
    auto expected = words;
    alone.parties[2]->mask(vector, 0, std::span(expected));
    SiloMasks other = second(first().share_masks(vector, {{0, 48}}), {{48, words32}});
    const std::span<std::uint32_t> all(words);
    first().mask(vector, 0, all.first(48));
    other.apply(vector, 48, all.subspan(48, 16));
    other.apply(vector, 64, all.subspan(64));
    EXPECT_EQ(words, expected);
    std::vector<std::uint64_t> counters = plain_words<std::uint64_t>(2, words64);
    auto expected_counters = counters;
    alone.parties[2]->mask(2, 0, std::span(expected_counters));
    first().mask(2, 0, std::span(counters));
    EXPECT_EQ(counters, expected_counters) << "other vectors stay with the party";
}

TEST_P(SharedMasks, RefuseWordsOfOthersAndWordsGivenTwice) {
    const WordRanges own{{16, 32}, {64, 80}};
    SiloMasks other = second(first().share_masks(vector, {{0, 16}, {32, 64}}), own);
    const auto refused = [&](auto&& mask, std::uint64_t begin, std::uint64_t size) {
        return reason_of([&] { mask(vector, begin, std::span(words).first(size)); }) == Refusal::range_given_twice;
    };
    const auto by_first = [&](auto... arguments) { first().mask(arguments...); };
    const auto by_other = [&](auto... arguments) { other.apply(arguments...); };
    EXPECT_TRUE(refused(by_first, 0, 17));
    EXPECT_TRUE(refused(by_first, 16, 1));
    EXPECT_TRUE(refused(by_other, 0, 16));
    EXPECT_TRUE(refused(by_other, 16, 17));
    EXPECT_TRUE(refused(by_other, 16, 64)) << "its ranges lie apart";
    EXPECT_NO_THROW(by_first(vector, 32U, std::span(words).first(32)));
    EXPECT_NO_THROW(by_other(vector, 16U, std::span(words).first(16)));
    EXPECT_TRUE(refused(by_other, 16, 1));
    std::vector<std::uint64_t> counters(words64);
    EXPECT_EQ(reason_of([&] { other.apply(2, 0, std::span(counters)); }), Refusal::range_given_twice) << "it has no keys of that vector";
}

TEST_P(SharedMasks, AreSharedBeforeAnyWordAndBeforeTheMembersAreSigned) {
    first().mask(vector, 0, std::span(words).first(16));
    EXPECT_EQ(reason_of([&] { (void)first().share_masks(vector, {{0, 16}}); }), Refusal::range_given_twice);
    together.agree(none(5));
    EXPECT_EQ(reason_of([&] { (void)first().share_masks(vector, {{0, 16}}); }), Refusal::out_of_order);
    MaskStreams streams;
    EXPECT_EQ(reason_of([&] { streams.add_keys(vector, GetParam(), crypto::Bytes(40)); }), Refusal::bad_message);
    EXPECT_EQ(reason_of([&] { streams.add_keys(vector, GetParam(), crypto::Bytes()); }), Refusal::bad_message);
}

INSTANTIATE_TEST_SUITE_P(Ciphers, SharedMasks, testing::Values(kernels::Cipher::aes128_ctr, kernels::Cipher::chacha20),
                         [](const auto& chosen) { return chosen.param == kernels::Cipher::aes128_ctr ? "aes" : "chacha"; });

}  // namespace
}  // namespace silosum

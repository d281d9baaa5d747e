// Masks and encoding on a GPU: the words of the processor, bit for bit.
#include "kernels/masked_words.hpp"

#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/error.hpp"
#include "kernels/place.hpp"
#include "kernels/reference.hpp"

namespace silosum::kernels {
namespace {

class MasksOnAGpu : public EachPlace {};
INSTANTIATE_TEST_SUITE_P(Each, MasksOnAGpu, testing::ValuesIn(places()), place_name);
class WordsOnAGpu : public EachPlace {};
INSTANTIATE_TEST_SUITE_P(Each, WordsOnAGpu, testing::ValuesIn(places()), place_name);

std::vector<MaskKey> some_keys(Cipher cipher, std::size_t count) {
    std::vector<MaskKey> keys(count);
    for (std::size_t k = 0; k < count; ++k) {
        for (std::size_t i = 0; i < stream_key_bytes(cipher); ++i) keys[k].key.push_back(static_cast<std::byte>(37 * k + 7 * i + 3));
        keys[k].sign = k % 3 == 1 ? Sign::minus : Sign::plus;
    }
    return keys;
}

template <class Word>
std::vector<Word> some_words(std::size_t n) {
    std::vector<Word> words(n);
    for (std::size_t i = 0; i < n; ++i) words[i] = static_cast<Word>(0x9E3779B97F4A7C15U * (i + 1));
    return words;
}

template <class Word>
void hide_on_processor(Cipher cipher, const std::vector<MaskKey>& keys, std::uint64_t first, std::vector<Word>& words) {
    for (const MaskKey& key : keys) KeyStream(cipher, key.key).add_to(first, std::span<Word>(words), key.sign);
}

/// Difficult ones among random values: the ends of the range, halves of the last place, what is not finite.
std::vector<float> some_values(std::size_t n, std::uint64_t seed, bool finite) {
    auto values = random_values(n, seed);
    const std::vector<float> special = {
        0.0F, -0.0F, 1.0F, -1.0F, std::nextafter(1.0F, 2.0F), 3e38F, -3e38F, 0.5F * 0x1p-20F, 1.5F * 0x1p-20F, -2.5F * 0x1p-20F, 1e-45F};
    for (std::size_t i = 0; i < n; i += 3) values[i] = special[i / 3 % special.size()];
    if (!finite && n > 4) {
        values[1] = not_a_number;
        values[n - 1] = std::numeric_limits<float>::infinity();
    }
    return values;
}

template <class Word>
void expect_masks_of_the_processor(const Stream& stream) {
    for (const Cipher cipher : {Cipher::aes128_ctr, Cipher::chacha20}) {
        for (const std::size_t streams : {0U, 1U, 5U}) {
            const auto keys = some_keys(cipher, streams);
            const MaskBank bank(cipher, keys, stream.cuda());
            // The last ones that a key may give, too.
            const std::uint64_t last = KeyStream::most_bytes / sizeof(Word) - 4096;
            for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{16}, last}) {
                for (const std::size_t n : {1U, 2U, 15U, 16U, 17U, 2048U, 2100U}) {
                    auto expected = some_words<Word>(n), words = expected;
                    hide_on_processor(cipher, keys, first, expected);
                    Loan loan(stream);
                    bank.hide(first, n, loan.out(words));
                    loan.give_back();
                    ASSERT_EQ(words, expected) << streams << " streams, " << n << " words from " << first;
                }
            }
        }
    }
}

TEST_P(MasksOnAGpu, AreTheProcessorsStreams) {
    expect_masks_of_the_processor<std::uint32_t>(stream());
    expect_masks_of_the_processor<std::uint64_t>(stream());
}

template <class Word>
void expect_hidden_encoding(const Stream& stream, double scale) {
    const auto keys = some_keys(Cipher::aes128_ctr, 3);
    const MaskBank bank(Cipher::aes128_ctr, keys, stream.cuda());
    for (const std::size_t n : {1U, 33U, 1000U}) {
        const auto local = some_values(n, 1, true), global = random_values(n, 2);
        const EncodeSettings settings{1.0, scale};
        std::vector<Word> expected(n), words(n);
        std::vector<EncodeCount> count(1);
        const EncodeCount expected_count = encode(n, local.data(), global.data(), settings, Store::write, expected.data());
        hide_on_processor(Cipher::aes128_ctr, keys, 32, expected);
        Loan loan(stream);
        bank.encode_hidden(32, n, loan.in(local), loan.in(global), settings, loan.out(words), loan.out(count));
        loan.give_back();
        EXPECT_EQ(words, expected);
        EXPECT_EQ(count[0].clipped, expected_count.clipped);
        EXPECT_EQ(count[0].not_finite, 0U);
    }
}

TEST_P(MasksOnAGpu, HideAnEncodingInOnePass) {
    expect_hidden_encoding<std::uint32_t>(stream(), 0x1p20);
    expect_hidden_encoding<std::uint64_t>(stream(), 0.8125 * 0x1p52);
}

TEST_P(MasksOnAGpu, RefuseKeysAndPlacesThatAreNotThere) {
    std::vector<MaskKey> keys = some_keys(Cipher::aes128_ctr, 1);
    std::vector<std::uint32_t> words(16);
    Loan loan(stream());
    std::uint32_t* const lent = loan.out(words);
    const MaskBank bank(Cipher::aes128_ctr, keys, stream().cuda());
    EXPECT_THROW(bank.hide(8, 8, lent), RuntimeError);
    EXPECT_THROW(bank.hide(KeyStream::most_bytes / 4, 8, lent), RuntimeError);
    keys[0].key.pop_back();
    EXPECT_THROW(MaskBank(Cipher::aes128_ctr, keys, stream().cuda()), RuntimeError);
}

template <class Word>
void expect_words_of_the_processor(const Stream& stream, double scale) {
    for (const std::size_t n : {0U, 1U, 255U, 257U, 1030U}) {
        for (const bool finite : {true, false}) {
            const auto local = some_values(n, 1, finite), global = random_values(n, 2);
            const EncodeSettings settings{1.0, scale};
            for (const Store store : {Store::write, Store::add, Store::stream}) {
                auto expected = some_words<Word>(n), words = expected;
                std::vector<EncodeCount> count(1);
                const EncodeCount expected_count = encode(n, local.data(), global.data(), settings, store, expected.data());
                Loan loan(stream);
                encode(n, loan.in(local), loan.in(global), settings, store, loan.out(words), loan.out(count), stream.cuda());
                loan.give_back();
                EXPECT_EQ(count[0].clipped, expected_count.clipped) << n;
                EXPECT_EQ(count[0].not_finite, expected_count.not_finite) << n;
                for (std::size_t i = 0; i < n; ++i) {
                    if (std::isfinite(local[i])) {
                        ASSERT_EQ(words[i], expected[i]) << i;
                    }
                }
            }
        }
    }
}

TEST_P(WordsOnAGpu, AreTheProcessorsWords) {
    expect_words_of_the_processor<std::uint32_t>(stream(), 0x1p20);
    expect_words_of_the_processor<std::uint64_t>(stream(), 0.8125 * 0x1p52);
}

template <class Word>
void expect_means_of_the_processor(const Stream& stream) {
    for (const std::size_t n : {0U, 1U, 31U, 256U, 700U}) {
        const auto words = some_words<Word>(n);
        std::vector<double> expected(n), mean(n), largest(1, -1.0);
        const double expected_largest = decode_mean(n, words.data(), 0x1p-20, 2345.0, expected.data());
        auto x = random_values(n, 3), expected_x = x;
        add_scaled(n, 0.7, expected.data(), expected_x.data(), Threads());
        Loan loan(stream);
        double* const lent = loan.out(mean);
        decode_mean(n, loan.in(words), 0x1p-20, 2345.0, lent, loan.out(largest), stream.cuda());
        add_scaled(n, 0.7, lent, loan.out(x), stream.cuda());
        loan.give_back();
        EXPECT_EQ(mean, expected);
        EXPECT_EQ(x, expected_x);
        EXPECT_EQ(largest[0], expected_largest);
    }
}

TEST_P(WordsOnAGpu, FindTheProcessorsLargestDifference) {
    for (const std::size_t n : {0U, 1U, 31U, 256U, 700U}) {
        const auto global = random_values(n, 2);
        for (std::size_t at = 0; at < n; at += 69) {
            for (const float value : {-9.0F, NAN, -INFINITY}) {
                auto local = random_values(n, 1);
                local[at] = value;
                const double expected = largest_difference(n, local.data(), global.data());
                std::vector<double> largest(1, -1.0);
                Loan loan(stream());
                largest_difference(n, loan.in(local), loan.in(global), loan.out(largest), stream().cuda());
                loan.give_back();
                if (std::isfinite(value)) {
                    EXPECT_EQ(largest[0], expected) << at << " of " << n;
                } else {
                    EXPECT_FALSE(std::isfinite(largest[0])) << at << " of " << n;
                }
            }
        }
    }
    std::vector<double> largest(1, -1.0);
    Loan loan(stream());
    largest_difference(0, nullptr, nullptr, loan.out(largest), stream().cuda());
    loan.give_back();
    EXPECT_EQ(largest[0], 0.0);
}

TEST_P(WordsOnAGpu, DecodeAndStepAsTheProcessorDoes) {
    expect_means_of_the_processor<std::uint32_t>(stream());
    expect_means_of_the_processor<std::uint64_t>(stream());
}

}  // namespace
}  // namespace silosum::kernels

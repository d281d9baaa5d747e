// Key streams: the standards' own examples, and every way to make a stream gives the same bytes from any place on.
#include "kernels/key_stream.hpp"

#include <array>
#include <cstring>
#include <numeric>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "kernels/aes_stream.hpp"

namespace silosum::kernels {
namespace {

std::vector<std::byte> bytes_of(const std::string& hex) {
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) bytes.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    return bytes;
}

template <class Word>
std::string hex_of(const std::vector<Word>& words) {
    std::string text;
    for (const std::byte byte : std::as_bytes(std::span(words))) text += fmt::format("{:02x}", static_cast<unsigned>(byte));
    return text;
}

std::vector<std::byte> some_key(Cipher cipher) {
    std::vector<std::byte> key(stream_key_bytes(cipher));
    for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::byte>(7 * i + 3);
    return key;
}

template <class Word>
std::vector<Word> stream_words(Cipher cipher, AesPath path, std::uint64_t first, std::size_t count, std::span<const std::byte> key) {
    std::vector<Word> words(count, 0);
    KeyStream(cipher, key, path).add_to(first, std::span<Word>(words), Sign::plus);
    return words;
}

std::string name_of_path(const testing::TestParamInfo<AesPath>& info) {
    return to_string(info.param);
}

class AesPaths : public testing::TestWithParam<AesPath> {};
INSTANTIATE_TEST_SUITE_P(Usable, AesPaths, testing::ValuesIn(usable_aes_paths()), name_of_path);

// The cipher of the all-zero block under the all-zero key (NIST AESAVS, appendix B.1), and of the numbers 1 to 3 by OpenSSL.
TEST_P(AesPaths, GiveTheKnownAnswerForTheZeroKey) {
    const std::vector<std::byte> key(24);
    const auto words = stream_words<std::uint32_t>(Cipher::aes128_ctr, GetParam(), 0, 4, key);
    EXPECT_EQ(hex_of(words), "66e94bd4ef8a2c3b884cfa59ca342b2e");
}

TEST_P(AesPaths, EqualOpenSslForEveryLengthPlaceWidthAndSign) {
    const auto key = some_key(Cipher::aes128_ctr);
    for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{16}, std::uint64_t{4096}, (std::uint64_t{1} << 33) - 4096}) {
        for (std::size_t count = 0; count < 700; count += count < 140 ? 1 : 37) {
            const auto expected = stream_words<std::uint32_t>(Cipher::aes128_ctr, AesPath::openssl, first, count, key);
            ASSERT_EQ(stream_words<std::uint32_t>(Cipher::aes128_ctr, GetParam(), first, count, key), expected) << first << ' ' << count;
            const auto expected64 = stream_words<std::uint64_t>(Cipher::aes128_ctr, AesPath::openssl, first, count, key);
            ASSERT_EQ(stream_words<std::uint64_t>(Cipher::aes128_ctr, GetParam(), first, count, key), expected64) << first << ' ' << count;
        }
    }
    KeyStream ours(Cipher::aes128_ctr, key, GetParam());
    KeyStream openssl(Cipher::aes128_ctr, key, AesPath::openssl);
    std::vector<std::uint32_t> a(333), b(333);
    std::vector<std::uint64_t> a64(333), b64(333);
    std::iota(a.begin(), a.end(), 4000000000U);
    std::iota(a64.begin(), a64.end(), 0xFFFFFFFFFFFFFF00ULL);
    b = a;
    b64 = a64;
    ours.add_to(64, std::span<std::uint32_t>(a), Sign::minus);
    openssl.add_to(64, std::span<std::uint32_t>(b), Sign::minus);
    ours.add_to(64, std::span<std::uint64_t>(a64), Sign::minus);
    openssl.add_to(64, std::span<std::uint64_t>(b64), Sign::minus);
    EXPECT_EQ(a, b);
    EXPECT_EQ(a64, b64);
}

// NIST SP 800-38A, F.5.1: its counter begins beyond what a stream of ours may reach, so the vectors run below the public class.
TEST(AesStream, GivesTheExampleOfSp80038a) {
    const auto key = bytes_of("2b7e151628aed2a6abf7158809cf4f3c");
    const auto counter = bytes_of("f0f1f2f3f4f5f6f7");
    for (const int bits : {128, 256, 512}) {
        if (!has_aes_stream(bits)) continue;
        AesSchedule schedule{};
        expand_aes_key(reinterpret_cast<const std::uint8_t*>(key.data()), schedule);
        std::memcpy(schedule.prefix, counter.data(), 8);
        std::vector<std::uint32_t> words(16, 0);
        aes_stream(bits).add32(schedule, 0xf8f9fafbfcfdfeffULL, words.size(), words.data());
        EXPECT_EQ(hex_of(words),
                  "ec8cdf7398607cb0f2d21675ea9ea1e4362b7c3c6773516318a077d7fc5073ae"
                  "6a2cc3787889374fbeb4c81b17ba6c44e89c399ff0f198c6d40a31db156cabfe")
            << bits;
    }
}

// RFC 8439, 2.4.2: the nonce 00 00 00 00 00 00 00 4a 00 00 00 00 is a zero high half of our block number, and the prefix.
TEST(ChaCha20, GivesTheExampleOfRfc8439FromItsSecondBlockOn) {
    auto key = bytes_of("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0000004a00000000");
    const auto words = stream_words<std::uint32_t>(Cipher::chacha20, AesPath::openssl, 16, 28, key);
    EXPECT_EQ(
        hex_of(words),
        "224f51f3401bd9e12fde276fb8631ded8c131f823d2c06e27e4fcaec9ef3cf788a3b0aa372600a92b57974cded2b9334794cba40c63e34cdea212c4cf07d41b7"
        "69a6749f3f630f4122cafe28ec4dc47e26d4346d70b98c73f3e9c53ac40c5945398b6eda1a832c89c167eacd901d7e2b");
}

class Ciphers : public testing::TestWithParam<Cipher> {};
INSTANTIATE_TEST_SUITE_P(All, Ciphers, testing::Values(Cipher::aes128_ctr, Cipher::chacha20));

TEST_P(Ciphers, GiveTheSameWordsFromAnyPlaceOn) {
    const auto key = some_key(GetParam());
    const auto path = usable_aes_paths().front();
    const auto whole = stream_words<std::uint32_t>(GetParam(), path, 0, 5000, key);
    for (const std::size_t first : {16, 32, 1024, 4000}) {
        const auto part = stream_words<std::uint32_t>(GetParam(), path, first, 5000 - first, key);
        EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + static_cast<std::ptrdiff_t>(first))) << first;
    }
    // 64-bit words are the same bytes.
    const auto wide = stream_words<std::uint64_t>(GetParam(), path, 0, 2500, key);
    EXPECT_EQ(std::memcmp(wide.data(), whole.data(), 20000), 0);
}

TEST_P(Ciphers, TakeAwayWhatTheyAdd) {
    KeyStream stream(GetParam(), some_key(GetParam()));
    std::vector<std::uint64_t> words(1001);
    std::iota(words.begin(), words.end(), 0xFFFFFFFFFFFFFF00ULL);
    const auto before = words;
    stream.add_to(8, std::span<std::uint64_t>(words), Sign::plus);
    EXPECT_NE(words, before);
    stream.add_to(8, std::span<std::uint64_t>(words), Sign::minus);
    EXPECT_EQ(words, before);
}

TEST_P(Ciphers, DependOnEveryBitOfKeyAndPrefix) {
    const auto key = some_key(GetParam());
    const auto expected = stream_words<std::uint32_t>(GetParam(), usable_aes_paths().front(), 0, 16, key);
    for (std::size_t bit = 0; bit < 8 * key.size(); ++bit) {
        auto other = key;
        other[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        EXPECT_NE(stream_words<std::uint32_t>(GetParam(), usable_aes_paths().front(), 0, 16, other), expected) << bit;
    }
}

TEST_P(Ciphers, RefusePlacesThatAreNotThere) {
    KeyStream stream(GetParam(), some_key(GetParam()));
    std::vector<std::uint32_t> words(32);
    const std::uint64_t most = KeyStream::most_bytes / 4;
    EXPECT_NO_THROW(stream.add_to(most - 32, std::span<std::uint32_t>(words), Sign::plus));
    EXPECT_THROW(stream.add_to(most - 16, std::span<std::uint32_t>(words), Sign::plus), RuntimeError);
    EXPECT_THROW(stream.add_to(8, std::span<std::uint32_t>(words), Sign::plus), RuntimeError);
    EXPECT_THROW(stream.add_to(~std::uint64_t{15}, std::span<std::uint32_t>(words), Sign::plus), RuntimeError);
    EXPECT_THROW(KeyStream(GetParam(), some_key(GetParam()), AesPath::openssl) = KeyStream(GetParam(), std::vector<std::byte>(16)),
                 RuntimeError);
}

}  // namespace
}  // namespace silosum::kernels

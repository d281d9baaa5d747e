// The same bytes as OpenSSL's, whichever library the build takes.
#include "privacy/bulk_hash.hpp"

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/evp.h>

namespace silosum::crypto {
namespace {

Bytes some_bytes(std::size_t size) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * i / 7 + i);
    return bytes;
}

TEST(Sha256OfPieces, IsThatOfEach) {
    constexpr std::size_t piece = 1 << 15;
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{55}, std::size_t{56}, std::size_t{64}, piece - 1, piece,
                                   piece + 1, 16 * piece, 17 * piece + 63, 32 * piece, 33 * piece + 4}) {
        const Bytes bytes = some_bytes(size);
        std::vector<Bytes32> expected;
        for (std::size_t first = 0; first < size; first += piece) {
            expected.push_back(sha256({View(bytes).subspan(first, std::min(piece, size - first))}));
        }
        EXPECT_EQ(sha256_of_pieces(bytes, piece), expected) << size;
        EXPECT_EQ(sha256_of_pieces(bytes, piece), expected) << size << " again";
    }
}

Gmac::Value value_of(const Secret<32>& key, View bytes, std::size_t cut) {
    Gmac mac(key);
    mac.add(std::as_bytes(bytes.first(cut)));
    mac.add(std::as_bytes(bytes.subspan(cut)));
    return mac.value();
}

// NIST's validation vectors of GCM (gcmtestvectors, gcmEncryptExtIV128.rsp: 96 bits of IV, no text, 128 bits of AAD, count 0)
TEST(Gmac, GivesAnExampleOfNist) {
    const auto key = from_hex("77be63708971c4e240d1cb79e8d77febe0e00f19fed7ba0136a797f300000000", 32).value();
    const auto text = from_hex("7a43ec1d9c0a5a78a0b16533a6213cab", 16).value();
    for (const std::size_t cut : {0, 5, 16}) {
        EXPECT_EQ(hex(value_of(Secret<32>::copy_of(key), text, cut)), "209fcc8d3675ed938e9c7166709dd946") << cut;
    }
}

Gmac::Value openssl_value_of(const Secret<32>& key, View bytes) {
    Gmac::Value value{};
    const std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> gcm(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
    int size = 0;
    EXPECT_EQ(EVP_EncryptInit_ex(gcm.get(), EVP_aes_128_gcm(), nullptr, key.view().data(), key.view().data() + 16), 1);
    EXPECT_EQ(EVP_EncryptUpdate(gcm.get(), nullptr, &size, bytes.data(), static_cast<int>(bytes.size())), 1);
    EXPECT_EQ(EVP_EncryptFinal_ex(gcm.get(), nullptr, &size), 1);
    EXPECT_EQ(EVP_CIPHER_CTX_ctrl(gcm.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(value.size()), value.data()), 1);
    return value;
}

TEST(Gmac, IsThatOfOpenssl) {
    Secret<32> key;
    std::iota(key.span().begin(), key.span().end(), std::uint8_t{1});
    Gmac again(key);
    for (const std::size_t size : {1, 15, 16, 17, 63, 64, 1000, 4096, 16384, 16388, 100000}) {
        const Bytes bytes = some_bytes(size);
        const auto expected = openssl_value_of(key, bytes);
        for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, size / 2, size})
            EXPECT_EQ(value_of(key, bytes, cut), expected) << size;
        again.restart();
        again.add(std::as_bytes(View(bytes)));
        EXPECT_EQ(again.value(), expected) << size << " after others";
    }
}

TEST(Gmac, KnowsAllOfItsKey) {
    const Bytes bytes = some_bytes(100);
    const auto value = value_of(Secret<32>(), bytes, 0);
    for (std::size_t i = 0; i < 28; ++i) {
        Secret<32> key;
        key.span()[i] = 1;
        EXPECT_NE(value_of(key, bytes, 0), value) << i;
    }
}

}  // namespace
}  // namespace silosum::crypto

// The primitives as we call them: examples of the standards, so that no argument is in the wrong place.
#include "privacy/crypto.hpp"

#include <gtest/gtest.h>

#include "support/fixed_entropy.hpp"

namespace silosum::crypto {
namespace {

Bytes bytes(std::string_view text) {
    return from_hex(text, text.size() / 2).value();
}
Bytes32 bytes32(std::string_view text) {
    Bytes32 result{};
    std::ranges::copy(bytes(text), result.begin());
    return result;
}
Secret<32> secret(std::string_view text) {
    return Secret<32>::copy_of(bytes(text));
}

// RFC 7748, 5.2 (the first vector) and 6.1 (the side of Bob)
TEST(X25519, GivesTheExamplesOfRfc7748) {
    const auto scalar = secret("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    EXPECT_EQ(hex(agree(scalar, bytes32("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")).value().view()),
              "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    const auto bob = secret("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    EXPECT_EQ(hex(public_key_of(bob)), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    EXPECT_EQ(hex(agree(bob, bytes32("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")).value().view()),
              "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

TEST(X25519, GivesBothSidesTheSameSecret) {
    FixedEntropy entropy(1);
    const ExchangeKeys one = make_exchange_keys(entropy);
    const ExchangeKeys two = make_exchange_keys(entropy);
    EXPECT_TRUE(equal(agree(one.secret_key, two.public_key).value().view(), agree(two.secret_key, one.public_key).value().view()));
}

TEST(X25519, RefusesTheKeysThatGiveZeroForEverybody) {
    FixedEntropy entropy(1);
    const ExchangeKeys keys = make_exchange_keys(entropy);
    EXPECT_TRUE(agree(keys.secret_key, keys.public_key));
    EXPECT_FALSE(agree(keys.secret_key, Bytes32{}));
    Bytes32 one{};
    one[0] = 1;
    EXPECT_FALSE(agree(keys.secret_key, one));
    // A point of order 8, RFC 7748's security considerations and "Curve25519" by Bernstein.
    EXPECT_FALSE(agree(keys.secret_key, bytes32("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")));
}

// RFC 8032, 7.1, tests 1 and 2
TEST(Ed25519, GivesTheExamplesOfRfc8032) {
    const SigningKeys one = signing_keys_from(secret("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));
    EXPECT_EQ(hex(one.public_key), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    EXPECT_EQ(
        hex(sign(one, {})),
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
    const SigningKeys two = signing_keys_from(secret("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"));
    EXPECT_EQ(
        hex(sign(two, bytes("72"))),
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
}

TEST(Ed25519, VerifiesOnlyWhatWasSignedByThatKey) {
    FixedEntropy entropy(2);
    const SigningKeys keys = make_signing_keys(entropy);
    const SigningKeys others = make_signing_keys(entropy);
    const auto message = bytes("0102030405");
    Signature signature = sign(keys, message);
    EXPECT_TRUE(verify(keys.public_key, message, signature));
    EXPECT_FALSE(verify(others.public_key, message, signature));
    EXPECT_FALSE(verify(keys.public_key, bytes("0102030406"), signature));
    for (std::size_t i = 0; i < signature.size(); ++i) {
        signature[i] ^= 1;
        EXPECT_FALSE(verify(keys.public_key, message, signature)) << i;
        signature[i] ^= 1;
    }
}

// RFC 5869, A.1 and A.3
TEST(Hkdf, GivesTheExamplesOfRfc5869) {
    const auto input = bytes("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
    Bytes key(42);
    derive_key(bytes("000102030405060708090a0b0c"), input, bytes("f0f1f2f3f4f5f6f7f8f9"), key);
    EXPECT_EQ(hex(key), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    derive_key({}, input, {}, key);
    EXPECT_EQ(hex(key), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

// FIPS 180-4's "abc", in one part and in three
TEST(Sha256OfParts, IsThatOfTheirBytesOneAfterTheOther) {
    const auto* expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    EXPECT_EQ(hex(sha256({view("abc")})), expected);
    EXPECT_EQ(hex(sha256({view("a"), {}, view("bc")})), expected);
}

TEST(Box, OpensOnlyUnchangedForItsKeyAndItsAssociatedBytes) {
    FixedEntropy entropy(3);
    Secret<32> key;
    Secret<32> other;
    entropy.fill(key.span());
    entropy.fill(other.span());
    const auto message = bytes("00112233445566778899");
    Bytes box = seal(key, message, view("from 1 to 2"));
    EXPECT_EQ(open(key, box, view("from 1 to 2")), message);
    EXPECT_FALSE(open(key, box, view("from 2 to 1")));
    EXPECT_FALSE(open(other, box, view("from 1 to 2")));
    for (std::size_t i = 0; i < box.size(); ++i) {
        box[i] ^= 0x80;
        EXPECT_FALSE(open(key, box, view("from 1 to 2"))) << i;
        box[i] ^= 0x80;
        EXPECT_FALSE(open(key, View(box).first(i), view("from 1 to 2"))) << i;
    }
}

TEST(Secret, LeavesNothingBehindWhenItMoves) {
    FixedEntropy entropy(4);
    Secret<32> first;
    entropy.fill(first.span());
    const std::string value = hex(first.view());
    const Secret<32> second = std::move(first);
    EXPECT_EQ(hex(second.view()), value);
    EXPECT_EQ(hex(first.view()), std::string(64, '0'));  // NOLINT(bugprone-use-after-move)
}

TEST(Hex, RefusesWhatIsNotItsSize) {
    EXPECT_EQ(from_hex("00ff", 2), (Bytes{0, 255}));
    for (const auto* text : {"00f", "00fff", "00fg", "", "0x00", "00 f"}) EXPECT_FALSE(from_hex(text, 2)) << text;
}

}  // namespace
}  // namespace silosum::crypto

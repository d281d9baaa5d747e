// SHA-256 against the example vectors of FIPS 180-4 (NIST, "SHA256.pdf" and the long-message example).
#include "base/sha256.hpp"

#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace silosum {
namespace {

std::string hash_of(const std::string& text) {
    return sha256_hex(std::as_bytes(std::span(text.data(), text.size())));
}

TEST(Sha256, EqualsTheVectorsOfFips180) {
    EXPECT_EQ(hash_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(hash_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(hash_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(hash_of(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesGiveTheSameDigestAsTheWhole) {
    const std::string text(1000, 'x');
    for (const std::size_t cut : {0, 1, 63, 64, 65, 999, 1000}) {
        Sha256 hash;
        hash.add(text.substr(0, cut));
        hash.add(text.substr(cut));
        EXPECT_EQ(hash.hex(), hash_of(text)) << "cut at " << cut;
    }
}

TEST(Sha256, GoesOnAfterAMove) {
    Sha256 hash;
    hash.add("a");
    Sha256 moved = std::move(hash);
    moved.add("bc");
    EXPECT_EQ(moved.hex(), hash_of("abc"));
}

}  // namespace
}  // namespace silosum

#include "privacy/update_tag.hpp"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

namespace silosum {
namespace {

crypto::Secret<32> key_of(std::uint8_t byte) {
    crypto::Secret<32> key;
    for (std::size_t i = 0; i < key.size(); ++i) key.span()[i] = static_cast<std::uint8_t>(byte + 37 * i);
    return key;
}

std::vector<float> update_of(std::size_t floats) {
    std::vector<float> values(floats);
    for (std::size_t i = 0; i < floats; ++i) values[i] = static_cast<float>(i) * 0.37F - 11.0F;
    return values;
}

WordsTag::Value tag_of(const std::vector<float>& values, std::uint8_t key = 1, std::uint8_t rest = 0) {
    const std::vector<std::byte> bytes{std::byte{rest}};
    return UpdateTag(key_of(key), values).value(bytes);
}

TEST(UpdateTag, IsTheSameHoweverTheUpdateIsCut) {
    const std::vector<std::byte> rest{std::byte{0}};
    for (const std::size_t floats : {1U, 4095U, 4096U, 4097U, 20000U}) {
        const auto values = update_of(floats);
        for (const std::size_t piece : {16U, 1000U, 4096U, 5008U, 16384U}) {
            UpdateTag tag(key_of(1), values);
            for (std::size_t first = 0; first < floats; first += piece) tag.see(first, std::min(piece, floats - first));
            EXPECT_EQ(tag.value(rest), tag_of(values)) << floats << " in pieces of " << piece;
        }
        UpdateTag backwards(key_of(1), values);
        for (std::size_t end = floats; end > 0; end -= std::min<std::size_t>(end, 9008)) {
            const std::size_t first = end - std::min<std::size_t>(end, 9008);
            backwards.see(first, end - first);
        }
        EXPECT_EQ(backwards.value(rest), tag_of(values));
    }
}

TEST(UpdateTag, TellsEveryChange) {
    const auto values = update_of(10000);
    const auto right = tag_of(values);
    EXPECT_NE(tag_of(values, 2), right);
    EXPECT_NE(tag_of(values, 1, 1), right);
    for (std::size_t i = 0; i < values.size(); i += 333) {
        auto changed = values;
        changed[i] = -changed[i];
        EXPECT_NE(tag_of(changed), right) << i;
    }
    auto swapped = values;
    std::swap_ranges(swapped.begin(), swapped.begin() + 4096, swapped.begin() + 4096);
    EXPECT_NE(tag_of(swapped), right);
    EXPECT_NE(tag_of(update_of(9999)), right);
}

}  // namespace
}  // namespace silosum

// Secret sharing: enough shares give the secret, fewer give nothing.
#include "privacy/shamir.hpp"

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "support/fixed_entropy.hpp"

namespace silosum::shamir {
namespace {

crypto::Secret<32> some_secret(crypto::Entropy& entropy) {
    crypto::Secret<32> secret;
    entropy.fill(secret.span());
    return secret;
}

// Every subset of every size, for all thresholds up to seven silos.
TEST(Shamir, AnyThresholdOfSharesRebuildsTheSecretAndFewerDoNot) {
    FixedEntropy entropy(1);
    for (std::uint32_t count = 1; count <= 7; ++count) {
        for (std::uint32_t threshold = 1; threshold <= count; ++threshold) {
            const auto secret = some_secret(entropy);
            const auto shares = split(secret, threshold, count, entropy);
            for (std::uint32_t subset = 1; subset < 1U << count; ++subset) {
                std::vector<Share> held;
                for (std::uint32_t i = 0; i < count; ++i) {
                    if ((subset >> i & 1) != 0) held.push_back(shares[i]);
                }
                const bool is_equal = crypto::equal(rebuild(held).view(), secret.view());
                EXPECT_EQ(is_equal, held.size() >= threshold) << threshold << " of " << count << ", subset " << subset;
            }
        }
    }
}

TEST(Shamir, HoldsForAThousandSilosInAnyOrder) {
    FixedEntropy entropy(2);
    const auto secret = some_secret(entropy);
    auto shares = split(secret, 667, 1000, entropy);
    std::reverse(shares.begin(), shares.end());
    EXPECT_TRUE(crypto::equal(rebuild(std::span(shares).first(667)).view(), secret.view()));
    EXPECT_FALSE(crypto::equal(rebuild(std::span(shares).first(666)).view(), secret.view()));
}

// For every secret there is exactly one polynomial through the shares that are known, so that these fit all secrets alike: with t - 1
// shares of one secret, a share that completes them to any other secret exists.
TEST(Shamir, FewerSharesFitEverySecret) {
    FixedEntropy entropy(3);
    const auto secret = some_secret(entropy);
    const auto shares = split(secret, 3, 5, entropy);
    std::vector<Share> held{shares[0], shares[1], shares[2]};
    // At x = 1, 2, 3 the last share counts once: moving it through the field moves the secret through the field.
    const auto with_last = [&](std::uint64_t y) {
        held[2].y[0] = y;
        return crypto::hex(rebuild(held).view().first(7));
    };
    std::map<std::string, int> secrets;
    for (std::uint64_t y = 0; y < 500; ++y) ++secrets[with_last(y)];
    EXPECT_EQ(secrets.size(), 500U);
}

// One share of a secret of zeros and of one of ones: each byte lane alike and uniform. 255 degrees of freedom, 6 deviations.
TEST(Shamir, ASingleShareIsUniformWhateverTheSecret) {
    FixedEntropy entropy(4);
    for (const std::uint8_t fill : {std::uint8_t{0}, std::uint8_t{255}}) {
        crypto::Secret<32> secret;
        std::ranges::fill(secret.span(), fill);
        std::array<double, 256> counts{};
        constexpr int draws = 25600;
        for (int draw = 0; draw < draws; ++draw) ++counts[split(secret, 2, 2, entropy)[0].y[0] & 0xFF];
        double chi_square = 0;
        for (const double count : counts) chi_square += (count - 100) * (count - 100) / 100;
        EXPECT_GT(chi_square, 255 - 6 * 22.6);
        EXPECT_LT(chi_square, 255 + 6 * 22.6);
    }
}

TEST(Shamir, AWrongShareGivesAnotherSecret) {
    FixedEntropy entropy(5);
    const auto secret = some_secret(entropy);
    auto shares = split(secret, 3, 3, entropy);
    for (std::size_t number = 0; number < numbers; ++number) {
        auto wrong = shares;
        wrong[1].y[number] ^= 1;
        EXPECT_FALSE(crypto::equal(rebuild(wrong).view(), secret.view())) << number;
    }
}

TEST(Shamir, SharesSurviveTheirBytesAndOthersAreRefused) {
    FixedEntropy entropy(6);
    const auto share = split(some_secret(entropy), 2, 3, entropy)[2];
    auto bytes = to_bytes(share);
    ASSERT_EQ(bytes.size(), share_bytes);
    EXPECT_EQ(from_bytes(3, bytes)->y, share.y);
    EXPECT_FALSE(from_bytes(0, bytes));
    EXPECT_FALSE(from_bytes(3, crypto::View(bytes).first(39)));
    std::fill_n(bytes.begin(), 8, std::uint8_t{0xFF});  // 2^64 - 1 is no number of the field
    EXPECT_FALSE(from_bytes(3, bytes));
}

}  // namespace
}  // namespace silosum::shamir

// Sums of real numbers must be exact and free of order. The reference is long addition in base ten to the minus 330: every double is
// a finite decimal, which printf writes out in full.
#include "privacy/exact_numbers.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/random.hpp"

namespace silosum {
namespace {

// A decimal number with sign, as digits: the integer part in the first 45 places, 330 behind the point.
class Decimal {
public:
    void add(double value) {
        std::string digits(1024, '\0');
        digits.resize(static_cast<std::size_t>(std::snprintf(digits.data(), digits.size(), "%.*f", places, std::abs(value))));
        digits.erase(digits.find('.'), 1);
        std::reverse(digits.begin(), digits.end());
        for (std::size_t i = 0; i < digits.size(); ++i) digits_[i] += (value < 0 ? -1 : 1) * (digits[i] - '0');
    }
    // strtod rounds a full decimal to the nearest double.
    [[nodiscard]] double value() const {
        std::vector<long> digits = digits_;
        bool negative = false;
        carry(digits);
        if (digits.back() < 0) {
            negative = true;
            digits = digits_;
            for (long& digit : digits) digit = -digit;
            carry(digits);
        }
        std::string text;
        for (std::size_t i = digits.size(); i-- > 0;) {
            text += static_cast<char>('0' + digits[i]);
            if (i == places) text += '.';
        }
        return std::strtod(((negative ? "-" : "") + text).c_str(), nullptr);
    }

private:
    static constexpr int places = 330;
    static void carry(std::vector<long>& digits) {
        for (std::size_t i = 0; i + 1 < digits.size(); ++i) {
            const long down = digits[i] >= 0 ? digits[i] / 10 : -((9 - digits[i]) / 10);
            digits[i] -= 10 * down;
            digits[i + 1] += down;
        }
    }
    std::vector<long> digits_ = std::vector<long>(places + 60, 0);
};

std::vector<double> random_numbers(std::size_t n, double lowest_power_of_ten, double highest_power_of_ten, std::uint64_t seed) {
    const Random random(seed, Purpose::split);
    std::vector<double> values(n);
    for (std::size_t i = 0; i < n; ++i) {
        const double power = lowest_power_of_ten + (highest_power_of_ten - lowest_power_of_ten) * random.uniform(3 * i);
        values[i] = (random.word(3 * i + 1) % 2 == 0 ? 1 : -1) * std::pow(10.0, power) * (1 + random.uniform(3 * i + 2));
    }
    return values;
}

double exact_sum(std::span<const double> values) {
    ExactNumbers sum(1);
    for (const double value : values) sum.add(0, value, "test");
    return sum.value(0);
}

TEST(ExactNumbers, GiveBackEverySingleNumber) {
    for (const double value : random_numbers(10000, -31, 38, 1)) ASSERT_EQ(exact_sum({{value}}), value);
    for (const double value : {0.0, 1.0, -1.0, 0x1p-107, -0x1.fffffffffffffp127, 0x1p-160, 1e-40})
        EXPECT_NEAR(exact_sum({{value}}), value, 0x1p-161);
    EXPECT_EQ(exact_sum({{0x1p-160}}), 0x1p-160);
    EXPECT_EQ(exact_sum({{0x1.8p-161}}), 0x1p-160) << "rounded to the last place";
    EXPECT_EQ(exact_sum({{0x1p-161}}), 0.0) << "ties go to even";
    EXPECT_EQ(exact_sum({{0x1.8p-160}}), 0x1p-159) << "ties go to even";
    EXPECT_EQ(exact_sum({{std::numeric_limits<double>::denorm_min()}}), 0.0);
}

TEST(ExactNumbers, SumIsTheDoubleNearestToTheTrueSum) {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        auto values = random_numbers(50, -30, 30, seed);
        if (seed % 2 == 0) {  // cancellation: small numbers must survive the large ones
            const std::size_t half = values.size() / 2;
            for (std::size_t i = 0; i < half; ++i) values.push_back(-values[i]);
        }
        Decimal reference;
        for (const double value : values) reference.add(value);
        EXPECT_EQ(exact_sum(values), reference.value()) << "seed " << seed;
    }
}

TEST(ExactNumbers, RoundsTheSumOnceToNearestEven) {
    EXPECT_EQ(exact_sum({{1.0, 0x1p-53}}), 1.0);
    EXPECT_EQ(exact_sum({{1.0, 0x1p-53, 0x1p-150}}), 1.0 + 0x1p-52);
    EXPECT_EQ(exact_sum({{1.0 + 0x1p-52, 0x1p-53}}), 1.0 + 0x1p-51);
    EXPECT_EQ(exact_sum({{-1.0, -0x1p-53, -0x1p-150}}), -1.0 - 0x1p-52);
    EXPECT_EQ(exact_sum({{1e30, 1.0, -1e30}}), 1.0);
}

TEST(ExactNumbers, DoNotDependOnOrderOrGrouping) {
    auto values = random_numbers(1000, -30, 35, 7);
    const double sum = exact_sum(values);
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
        const auto order = permutation(Random(seed, Purpose::split), values.size());
        std::vector<ExactNumbers> groups(3, ExactNumbers(1));
        for (std::size_t i = 0; i < order.size(); ++i) groups[i % 3].add(0, values[order[i]], "test");
        for (std::size_t i = 0; i < exact_limbs; ++i) groups[0].words()[i] += groups[1].words()[i] + groups[2].words()[i];
        EXPECT_EQ(groups[0].value(0), sum);
    }
}

TEST(ExactNumbers, ManyAdditionsDoNotOverflowALimb) {
    // Doubling the words 31 times stands for 2^31 silos that add the same number.
    for (const double value : {-1.0, 0x1.fffffffffffffp127, -0x1.fffffffffffffp127, 1e-20}) {
        ExactNumbers sum(1);
        sum.add(0, value, "test");
        for (int i = 0; i < 31; ++i) {
            for (auto& word : sum.words()) word += word;
        }
        EXPECT_EQ(sum.value(0), value * 0x1p31);
    }
}

TEST(ExactNumbers, RefuseWhatDoesNotFitAndNameIt) {
    ExactNumbers sum(2);
    for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL, 0x1p128})
        EXPECT_THROW(sum.add(0, value, "the loss of silo 3"), RuntimeError);
    try {
        sum.add(1, std::nan(""), "the loss of silo 3");
    } catch (const RuntimeError& error) {
        EXPECT_EQ(std::string(error.what()).rfind("the loss of silo 3: nan", 0), 0U) << error.what();
    }
    EXPECT_THROW(sum.add(std::vector<double>{1.0}, "too few"), RuntimeError);
    EXPECT_EQ(sum.values(), (std::vector<double>{0.0, 0.0}));
}

}  // namespace
}  // namespace silosum

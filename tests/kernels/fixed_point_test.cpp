#include "kernels/fixed_point.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "base/buffer.hpp"
#include "base/random.hpp"
#include "kernels/reference.hpp"

namespace silosum::kernels {
namespace {

constexpr float infinite = std::numeric_limits<float>::infinity();

/// The definition, step by step: difference, clamp and one product in double, then the nearest integer, of two the even one.
std::int64_t encoded(float local, float global, const EncodeSettings& settings) {
    const double u = static_cast<double>(local) - static_cast<double>(global);
    const double clamped = u > settings.range ? settings.range : u < -settings.range ? -settings.range : u;
    const double z = clamped * settings.factor;
    const double below = std::floor(z);
    const double above_by = z - below;  // exact
    auto integer = static_cast<std::int64_t>(below);
    if (above_by > 0.5 || (above_by == 0.5 && integer % 2 != 0)) ++integer;
    return integer;
}

template <class Word>
std::vector<Word> encode_all(const std::vector<float>& local, const std::vector<float>& global, const EncodeSettings& settings,
                             EncodeCount* count = nullptr) {
    std::vector<Word> words(local.size());
    const EncodeCount found = encode(local.size(), local.data(), global.data(), settings, Store::write, words.data());
    if (count != nullptr) *count = found;
    return words;
}

template <class Word>
void expect_definition(const std::vector<float>& local, const std::vector<float>& global, const EncodeSettings& settings) {
    const auto words = encode_all<Word>(local, global, settings);
    for (std::size_t i = 0; i < local.size(); ++i) {
        ASSERT_EQ(words[i], static_cast<Word>(encoded(local[i], global[i], settings))) << local[i] << " - " << global[i] << " at " << i;
    }
}

/// Random values with those mixed in at which an encoder may go wrong. scale: what makes integers of the values.
std::vector<float> difficult_values(std::size_t n, std::uint64_t seed, float range, float scale) {
    auto values = random_values(n, seed);
    const std::vector<float> special = {0.0F,
                                        -0.0F,
                                        std::numeric_limits<float>::denorm_min(),
                                        -std::numeric_limits<float>::denorm_min(),
                                        std::numeric_limits<float>::min(),
                                        range,
                                        -range,
                                        std::nextafter(range, 0.0F),
                                        std::nextafter(range, infinite),
                                        -std::nextafter(range, infinite),
                                        std::numeric_limits<float>::max(),
                                        std::numeric_limits<float>::lowest(),
                                        0.5F / scale,
                                        -0.5F / scale,
                                        1.5F / scale,
                                        -1.5F / scale,
                                        2.5F / scale,
                                        -2.5F / scale,
                                        std::nextafter(2.5F / scale, 1.0F)};
    for (std::size_t i = 0; i < n; ++i) {
        values[i] *= range;
        if (i % 3 == 0) values[i] = special[(i / 3) % special.size()];
    }
    return values;
}

class FixedPoint : public EachIsa {};
INSTANTIATE_TEST_SUITE_P(, FixedPoint, testing::ValuesIn(usable_isas()), isa_test_name);

TEST_P(FixedPoint, WordsAreTheRoundedProductWhateverTheLength) {
    for (const std::size_t n : {0U, 1U, 2U, 3U, 5U, 7U, 8U, 9U, 15U, 16U, 17U, 31U, 33U, 1023U, 1024U, 1025U, 3000U}) {
        const std::vector<float> zeros(n, 0.0F);
        for (const float range : {1.0F, 0.0625F, 64.0F}) {
            const double limit = static_cast<double>(range);
            const EncodeSettings coarse{limit, std::ldexp(1.0, 20)};
            const auto values = difficult_values(n, n + 1, range, 0x1p20F);
            expect_definition<std::uint32_t>(values, zeros, coarse);
            expect_definition<std::uint64_t>(values, zeros, coarse);
            expect_definition<std::uint32_t>(zeros, values, coarse);
            // The finest scales that fit: |z| up to 2^30 and up to 2^52, with a weight that is not a power of two.
            const EncodeSettings fine32{limit, std::ldexp(0.8125, 30) / limit};
            const EncodeSettings fine64{limit, std::ldexp(0.8125, 52) / limit};
            const auto others = random_values(n, 99);
            expect_definition<std::uint32_t>(values, others, fine32);
            expect_definition<std::uint64_t>(values, others, fine64);
        }
    }
}

TEST_P(FixedPoint, HalvesGoToTheEvenInteger) {
    std::vector<float> halves;
    std::vector<std::uint32_t> expected;
    for (int k = -50; k < 50; ++k) {
        halves.push_back((static_cast<float>(k) + 0.5F) * 0x1p-20F);
        expected.push_back(static_cast<std::uint32_t>(k % 2 == 0 ? k : k + 1));
    }
    const std::vector<float> zeros(halves.size(), 0.0F);
    EXPECT_EQ(encode_all<std::uint32_t>(halves, zeros, {1.0, 0x1p20}), expected);
}

TEST_P(FixedPoint, SixtyFourBitsHoldUpToTwoToThe52) {
    // The difference of two floats has up to 53 bits here: 1 - 2^-53 is half way between the last two integers.
    const std::vector<float> local = {1.0F, -1.0F, 1.0F, 1.0F, -1.0F, 1.0F, 0.0F, 0.5F};
    const std::vector<float> global = {0.0F, 0.0F, 0x1p-52F, 0x1p-53F, -0x1p-53F, 0x1.8p-52F, -0x1p-52F, -0x1p-52F};
    const std::int64_t top = std::int64_t{1} << 52;
    const std::vector<std::int64_t> expected = {top, -top, top - 1, top, -top, top - 2, 1, top / 2 + 1};
    const auto words = encode_all<std::uint64_t>(local, global, {1.0, 0x1p52});
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(static_cast<std::int64_t>(words[i]), expected[i]) << i;
}

TEST_P(FixedPoint, CountsWhatLiesBeyondTheRangeButNotWhatLiesAtIt) {
    std::vector<float> local(2500, 0.25F);
    const std::vector<float> global(local.size(), 0.0F);
    local[3] = 1.0F;
    local[4] = -1.0F;
    EncodeCount count;
    (void)encode_all<std::uint32_t>(local, global, {1.0, 0x1p20}, &count);
    EXPECT_EQ(count.clipped, 0U);
    for (const std::size_t i : {0U, 1023U, 1024U, 2499U}) local[i] = std::nextafter(1.0F, 2.0F);
    local[7] = -5.0F;
    const auto words = encode_all<std::uint64_t>(local, global, {1.0, 0x1p20}, &count);
    EXPECT_EQ(count.clipped, 5U);
    EXPECT_EQ(count.not_finite, 0U);
    EXPECT_EQ(words[0], std::uint64_t{1} << 20);
    EXPECT_EQ(words[7], std::uint64_t{0} - (std::uint64_t{1} << 20));
}

TEST_P(FixedPoint, CountsNotFiniteCoordinatesApart) {
    for (const std::size_t n : {1U, 5U, 16U, 1030U}) {
        std::vector<float> local(n, 0.25F);
        std::vector<float> global(n, 0.0F);
        local[0] = not_a_number;
        global[n - 1] = n == 1 ? 0.0F : infinite;
        if (n > 2) local[n - 2] = 9.0F;
        EncodeCount count;
        (void)encode_all<std::uint32_t>(local, global, {1.0, 0x1p20}, &count);
        EXPECT_EQ(count.not_finite, n == 1 ? 1U : 2U) << n;
        EXPECT_EQ(count.clipped, n > 2 ? 1U : 0U) << n;
        (void)encode_all<std::uint64_t>(local, global, {1.0, 0x1p20}, &count);
        EXPECT_EQ(count.not_finite, n == 1 ? 1U : 2U) << n;
    }
}

TEST_P(FixedPoint, SlicesEncodeToTheSameWordsAsTheWhole) {
    const std::size_t n = 4099;
    const auto local = difficult_values(n, 5, 1.0F, 0x1p24F);
    const auto global = random_values(n, 6);
    const EncodeSettings settings{1.0, 0x1.7p24};
    const auto whole = encode_all<std::uint32_t>(local, global, settings);
    for (const std::size_t offset : {0U, 1U, 8U}) {  // past the caches where the words are aligned
        Buffer<std::uint32_t> streamed(n + offset);
        (void)encode(n, local.data(), global.data(), settings, Store::stream, streamed.data() + offset);
        EXPECT_TRUE(std::equal(whole.begin(), whole.end(), streamed.data() + offset));
    }
    for (const std::size_t cut : {1U, 2U, 13U, 1024U, 4097U}) {
        std::vector<std::uint32_t> words(n);
        (void)encode(cut, local.data(), global.data(), settings, Store::write, words.data());
        (void)encode(n - cut, local.data() + cut, global.data() + cut, settings, Store::write, words.data() + cut);
        EXPECT_EQ(words, whole) << cut;
    }
}

/// Three silos, weights 1, 3 and 7 of at most 8: the decoded mean against the mean itself.
template <class Word>
void expect_mean(int scale_bits, bool accumulate) {
    const std::size_t n = 1003;
    const double largest_weight = 8;
    const std::vector<double> weights = {1, 3, 7};
    const auto global = random_values(n, 1);
    std::vector<std::vector<float>> locals;
    std::vector<std::vector<Word>> words(weights.size(), std::vector<Word>(n));
    std::vector<Word> sum(n);
    for (std::size_t s = 0; s < weights.size(); ++s) {
        locals.push_back(random_values(n, s + 2));
        const EncodeSettings settings{2.0, std::ldexp(weights[s] / largest_weight, scale_bits)};
        const EncodeCount count = encode(n, locals[s].data(), global.data(), settings, accumulate ? Store::add : Store::write,
                                         accumulate ? sum.data() : words[s].data());
        EXPECT_EQ(count.clipped + count.not_finite, 0U);
    }
    if (!accumulate) {
        const Word* const parts[] = {words[0].data(), words[1].data(), words[2].data()};
        sum_words(n, 3, parts, sum.data());
    }
    std::vector<double> mean(n);
    (void)decode_mean(n, sum.data(), std::ldexp(largest_weight, -scale_bits), 11, mean.data());
    // Half an integer for each silo, and a few roundings of numbers below 2 in double.
    const double bound = 3.0 / 2 * std::ldexp(largest_weight, -scale_bits) / 11 + 1e-15;
    for (std::size_t i = 0; i < n; ++i) {
        long double expected = 0;
        for (std::size_t s = 0; s < weights.size(); ++s) {
            expected +=
                static_cast<long double>(weights[s]) * (static_cast<long double>(locals[s][i]) - static_cast<long double>(global[i]));
        }
        ASSERT_NEAR(mean[i], static_cast<double>(expected / 11), bound) << i;
    }
}

TEST_P(FixedPoint, DecodedSumIsTheWeightedMeanWithinTheBound) {
    expect_mean<std::uint32_t>(28, false);  // 3 * 2^28 * 2 < 2^31
    expect_mean<std::uint32_t>(28, true);
    expect_mean<std::uint64_t>(51, false);
    expect_mean<std::uint64_t>(51, true);
}

TEST_P(FixedPoint, DecodesEveryWordAsSigned) {
    const std::vector<std::uint32_t> words32 = {0, 1, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU, 12345, 0xFFFF0000U};
    const double unit = 0x1p-3;
    std::vector<double> mean(words32.size());
    (void)decode_mean(words32.size(), words32.data(), unit, 3, mean.data());
    for (std::size_t i = 0; i < words32.size(); ++i)
        EXPECT_EQ(mean[i], static_cast<double>(static_cast<std::int32_t>(words32[i])) * unit / 3);

    std::vector<std::uint64_t> words64 = {0, 1, ~std::uint64_t{0}, std::uint64_t{1} << 63, (std::uint64_t{1} << 63) - 1};
    for (std::uint64_t step = 0; step < 40; ++step) {  // beyond 2^53 the conversion rounds
        words64.push_back((std::uint64_t{1} << 53) + step);
        words64.push_back(std::uint64_t{0} - (std::uint64_t{3} << 58) - 37 * step);
    }
    mean.resize(words64.size());
    (void)decode_mean(words64.size(), words64.data(), unit, 3, mean.data());
    for (std::size_t i = 0; i < words64.size(); ++i)
        EXPECT_EQ(mean[i], static_cast<double>(static_cast<std::int64_t>(words64[i])) * unit / 3);
}

// Divisors and quotients near the places where a reciprocal misleads: few bits set, all bits set, and last places in between.
TEST_P(FixedPoint, QuotientsAreRoundedAsOneDivisionWhateverTheDivisor) {
    const Random random(8, Purpose::split);
    std::vector<double> divisors;
    for (const double base : {1.0, 3.0, 7.0, 1403.0, 0x1p31 - 1, 0x1p40 + 1, 0x1p52 - 1, 0x1p53 - 1, 0x1p62}) divisors.push_back(base);
    for (std::uint64_t i = 0; i < 200; ++i) divisors.push_back(static_cast<double>(random.word(i) >> (i % 32)) + 1);
    std::vector<std::uint64_t> words;
    for (std::uint64_t i = 0; i < 2000; ++i) {
        const std::uint64_t word = std::uint64_t{random.word(1000 + 2 * i)} << 32 | random.word(1001 + 2 * i);
        words.push_back(i % 2 == 0 ? word >> (i % 60) : (std::uint64_t{1} << (i % 53)) - i % 3);
    }
    std::vector<double> mean(words.size());
    for (const double divisor : divisors) {
        const auto exact = static_cast<std::uint64_t>(divisor);
        for (std::size_t i = 1; i < words.size(); i += 7) words[i] = exact * (i % 1000) + (i % 5) - 2;
        (void)decode_mean(words.size(), words.data(), 0x1p-20, divisor, mean.data());
        for (std::size_t i = 0; i < words.size(); ++i) {
            const double expected = static_cast<double>(static_cast<std::int64_t>(words[i])) * 0x1p-20 / divisor;
            ASSERT_EQ(mean[i], expected) << words[i] << " / " << divisor;
        }
    }
}

template <class Word>
void expect_encoded_sums(double scale) {
    for (const std::size_t n : {0U, 1U, 7U, 128U, 129U, 1000U, 3001U}) {
        const auto global = random_values(n + 5, 1);
        for (std::size_t silos = 0; silos <= 9; ++silos) {
            std::vector<std::vector<float>> locals;
            std::vector<SummedUpdate> updates;
            std::vector<Word> expected(n, 0);
            std::vector<EncodeCount> counts;
            for (std::size_t silo = 0; silo < silos; ++silo) {
                auto values = difficult_values(n, silo, 0.5F, 0x1p20F);
                if (silo == 3 && n > 5) values[n - 2] = std::numeric_limits<float>::infinity();
                values.insert(values.begin(), 5, 77.0F);  // not of the piece that is added up
                locals.push_back(values);
            }
            for (std::size_t silo = 0; silo < silos; ++silo) {
                const EncodeSettings settings{0.25, scale / (1.0 + static_cast<double>(silo))};
                updates.push_back({.local = locals[silo].data(), .factor = settings.factor, .count = {.clipped = 2}});
                counts.push_back(encode(n, locals[silo].data() + 5, global.data() + 5, settings, Store::add, expected.data()));
            }
            std::vector<Word> words(n + 1, Word{9});
            encode_sum(n, 5, updates, global.data(), 0.25, words.data());
            for (std::size_t silo = 0; silo < silos; ++silo) {
                EXPECT_EQ(updates[silo].count.clipped, counts[silo].clipped + 2) << silo << " of " << silos;
                EXPECT_EQ(updates[silo].count.not_finite, counts[silo].not_finite) << silo << " of " << silos;
            }
            EXPECT_EQ(words[n], Word{9});
            if (n > 5 && silos > 3) expected[n - 2] = words[n - 2];  // of a word that is not finite nothing is promised
            for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(words[i], expected[i]) << i << " of " << n << ", " << silos << " silos";
        }
    }
}

TEST_P(FixedPoint, UpdatesEncodedTogetherAddUpAsOneByOne) {
    expect_encoded_sums<std::uint32_t>(0x1p27);
    expect_encoded_sums<std::uint64_t>(0x1p48);
}

template <class Word>
void expect_sums() {
    const Random random(3, Purpose::partition);
    for (const std::size_t n : {0U, 1U, 7U, 16U, 1024U, 2048U, 4111U}) {
        for (std::size_t parts = 0; parts <= 10; ++parts) {
            std::vector<std::vector<Word>> words(parts, std::vector<Word>(n));
            std::vector<const Word*> pointers;
            std::vector<Word> expected(n, 0);
            for (std::size_t p = 0; p < parts; ++p) {
                for (std::size_t i = 0; i < n; ++i) {
                    const auto block = random.block(p * n + i);
                    words[p][i] = static_cast<Word>(std::uint64_t{block[0]} << 32 | block[1]);
                    expected[i] += words[p][i];
                }
                pointers.push_back(words[p].data());
            }
            std::vector<Word> sum(n, Word{77});
            sum_words(n, parts, pointers.data(), sum.data());
            ASSERT_EQ(sum, expected) << n << " words, " << parts << " parts";
            for (const std::size_t offset : {0, 1}) {  // in an aligned array: whole vectors go past the caches
                Buffer<Word> past(n + offset);
                sum_words(n, parts, pointers.data(), past.data() + offset, Store::stream);
                ASSERT_TRUE(std::equal(expected.begin(), expected.end(), past.data() + offset)) << n << " words, " << parts << " parts";
            }
        }
    }
}

template <class Word, class Signed>
void expect_mean_divides_once() {
    const double unit = 0x1p-17;
    for (const std::size_t n : {0, 1, 7, 8, 9, 64, 1000}) {
        for (const std::size_t offset : {0, 1, 8}) {  // of the mean in an aligned array: whole vectors go past the caches
            const Random random(n, Purpose::split);
            Buffer<Word> words(n);
            Buffer<double> mean(n + offset);
            for (std::size_t i = 0; i < n; ++i) words[i] = static_cast<Word>(random.word(2 * i) * 0x100000001ULL);
            const double largest = decode_mean(n, words.data(), unit, 1403, mean.data() + offset);
            double expected_largest = 0;
            for (std::size_t i = 0; i < n; ++i) {
                const double expected = std::ldexp(static_cast<double>(static_cast<Signed>(words[i])), -17) / 1403;
                ASSERT_EQ(mean[offset + i], expected) << i << " of " << n;
                expected_largest = std::max(expected_largest, std::abs(expected));
            }
            EXPECT_EQ(largest, expected_largest) << n;
        }
    }
}

TEST_P(FixedPoint, DecodedMeanIsOneDivisionAndKnowsItsLargestMagnitude) {
    expect_mean_divides_once<std::uint32_t, std::int32_t>();
    expect_mean_divides_once<std::uint64_t, std::int64_t>();
}

TEST_P(FixedPoint, SumsOfAnyNumberOfPartsWrapAround) {
    expect_sums<std::uint32_t>();
    expect_sums<std::uint64_t>();
}

TEST_P(FixedPoint, ServerStepRoundsOnceInDoubleAndOnceToFloat) {
    for (const std::size_t n : {0U, 1U, 3U, 8U, 1001U}) {
        const auto start = random_values(n, 4);
        const auto move = random_values(n, 5);
        std::vector<double> mean(move.begin(), move.end());
        for (double& value : mean) value /= 3;
        auto x = start;
        add_scaled(n, 0.7, mean.data(), x.data(), Threads());
        for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(x[i], static_cast<float>(static_cast<double>(start[i]) + 0.7 * mean[i])) << i;
    }
    // (1 + 2^-30) (1 - 2^-30) is 1 once rounded; a fused multiply-add would leave -2^-60.
    float x = -1.0F;
    const double mean = 1 - 0x1p-30;
    add_scaled(1, 1 + 0x1p-30, &mean, &x, Threads());
    EXPECT_EQ(x, 0.0F);
}

TEST_P(FixedPoint, LargestDifferenceIsExactAndSeesWhatIsNotFinite) {
    EXPECT_EQ(largest_difference(0, nullptr, nullptr), 0.0);
    for (const std::size_t n : {1U, 2U, 9U, 1000U}) {
        auto local = random_values(n, 1);
        const auto global = random_values(n, 2);
        double expected = 0;
        for (std::size_t i = 0; i < n; ++i) {
            expected = std::max(expected, std::fabs(static_cast<double>(local[i]) - static_cast<double>(global[i])));
        }
        EXPECT_EQ(largest_difference(n, local.data(), global.data()), expected);
        local[n - 1] = -7.0F;
        EXPECT_EQ(largest_difference(n, local.data(), global.data()), std::fabs(-7.0 - static_cast<double>(global[n - 1])));
        for (const float bad : {not_a_number, infinite, -infinite}) {
            local[n / 2] = bad;
            EXPECT_FALSE(std::isfinite(largest_difference(n, local.data(), global.data())));
        }
    }
}

}  // namespace
}  // namespace silosum::kernels

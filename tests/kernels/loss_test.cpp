#include "kernels/loss.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/laws.hpp"
#include "kernels/reference.hpp"

namespace silosum::kernels {
namespace {

constexpr float infinite = std::numeric_limits<float>::infinity();

class Loss : public EachIsa {};
INSTANTIATE_TEST_SUITE_P(, Loss, testing::ValuesIn(usable_isas()), isa_test_name);

std::vector<std::int32_t> some_labels(std::size_t batch, std::size_t classes) {
    std::vector<std::int32_t> labels(batch);
    for (std::size_t r = 0; r < batch; ++r) labels[r] = static_cast<std::int32_t>((r * 7 + r / 3) % classes);
    return labels;
}

/// Weighted cross-entropy in double from its definition, log(sum of e^(z - max)) + max - z of the label.
double cross_entropy(const std::vector<double>& z, std::size_t classes, const std::vector<std::int32_t>& labels,
                     const std::vector<float>& weights) {
    double loss = 0;
    for (std::size_t r = 0; r < labels.size(); ++r) {
        const auto* row = z.data() + r * classes;
        const double largest = *std::max_element(row, row + classes);
        double sum = 0;
        for (std::size_t k = 0; k < classes; ++k) sum += std::exp(row[k] - largest);
        const auto label = static_cast<std::size_t>(labels[r]);
        loss += (weights.empty() ? 1.0 : static_cast<double>(weights[label])) * (std::log(sum) + largest - row[label]);
    }
    return loss;
}

struct Size {
    std::size_t batch, classes;
};
const std::vector<Size> sizes = {{1, 2}, {3, 1}, {10, 10}, {33, 10}, {7, 3}, {5, 16}, {4, 17}, {2, 62}, {70, 100}, {2, 5000}};

TEST_P(Loss, CrossEntropyEqualsItsDefinition) {
    for (const auto& [batch, classes] : sizes) {
        auto logits = random_values(batch * classes, 1);
        for (float& z : logits) z *= 8;
        const auto labels = some_labels(batch, classes);
        for (const bool weighted : {false, true}) {
            auto weights = random_values(weighted ? classes : 0, 2);
            for (float& weight : weights) weight += 1.5F;
            const LossSum sum =
                softmax_cross_entropy(batch, classes, logits.data(), labels.data(), weighted ? weights.data() : nullptr, 1.0F, nullptr);
            const std::vector<double> z(logits.begin(), logits.end());
            // The exponentials err by 2 units of 2^-23 of their sum, so each sample's loss by 2^-22 times its weight.
            double weight = 0;
            for (const auto label : labels) weight += weighted ? static_cast<double>(weights[static_cast<std::size_t>(label)]) : 1.0;
            EXPECT_NEAR(sum.loss, cross_entropy(z, classes, labels, weights), weight * 0x1p-22) << batch << "x" << classes;
            EXPECT_DOUBLE_EQ(sum.weight, weight);
        }
    }
}

TEST_P(Loss, CrossEntropysGradientIsItsSlope) {
    for (const auto& [batch, classes] : {Size{10, 10}, Size{7, 3}, Size{3, 17}, Size{2, 33}}) {
        auto logits = random_values(batch * classes, 3);
        for (float& z : logits) z *= 3;
        const auto labels = some_labels(batch, classes);
        auto weights = random_values(classes, 4);
        for (float& weight : weights) weight += 1.5F;
        std::vector<float> gradient(logits.size());
        const float scale = 0.37F;
        (void)softmax_cross_entropy(batch, classes, logits.data(), labels.data(), weights.data(), scale, gradient.data());
        const auto expected = slopes([&, columns = classes](const auto& z) { return cross_entropy(z, columns, labels, weights); }, logits);
        // |gradient| <= 2.5 * 0.37; exponential, sum and product err by 3 units; the difference by 1e-10 times the whole loss.
        for (std::size_t i = 0; i < logits.size(); ++i) {
            ASSERT_NEAR(static_cast<double>(gradient[i]), static_cast<double>(scale) * expected[i], 3 * 0x1p-23 + 1e-8) << i;
        }
    }
}

TEST_P(Loss, EverySampleHasTheBitsItHasAlone) {
    for (const auto& [batch, classes] : sizes) {
        const auto logits = random_values(batch * classes, 5);
        const auto labels = some_labels(batch, classes);
        auto whole = logits;  // in place
        const LossSum sum = softmax_cross_entropy(batch, classes, whole.data(), labels.data(), nullptr, 0.1F, whole.data());
        LossSum added;
        for (std::size_t r = 0; r < batch; ++r) {
            const std::vector<float> row(logits.begin() + static_cast<std::ptrdiff_t>(r * classes),
                                         logits.begin() + static_cast<std::ptrdiff_t>((r + 1) * classes));
            std::vector<float> gradient(classes, not_a_number);
            const LossSum one = softmax_cross_entropy(1, classes, row.data(), &labels[r], nullptr, 0.1F, gradient.data());
            added.loss += one.loss;
            added.correct += one.correct;
            for (std::size_t k = 0; k < classes; ++k) ASSERT_EQ(whole[r * classes + k], gradient[k]) << batch << "x" << classes;
        }
        EXPECT_EQ(sum.loss, added.loss);
        EXPECT_EQ(sum.correct, added.correct);
    }
}

TEST_P(Loss, TheFirstLargestLogitDecidesWhatIsRight) {
    for (const std::size_t classes : {3U, 10U, 40U}) {
        for (std::size_t first = 0; first < classes; ++first) {
            std::vector<float> logits(classes, -1.0F);
            for (std::size_t k = first; k < classes; k += 2) logits[k] = 2.0F;
            for (std::size_t label = 0; label < classes; ++label) {
                const auto of_sample = static_cast<std::int32_t>(label);
                const LossSum sum = softmax_cross_entropy(1, classes, logits.data(), &of_sample, nullptr, 1.0F, nullptr);
                EXPECT_EQ(sum.correct, label == first ? 1U : 0U);
            }
        }
    }
}

TEST_P(Loss, LargeLogitsAreFiniteAndCertaintyIsNotRoundedAway) {
    const std::vector<float> logits = {1e4F, -1e4F, 0.0F, 20.0F, 0.0F, 0.0F, 3e38F, -3e38F, 0.0F};
    const std::vector<std::int32_t> labels = {1, 0, 0};
    std::vector<float> gradient(logits.size());
    const LossSum sum = softmax_cross_entropy(2, 3, logits.data(), labels.data(), nullptr, 1.0F, gradient.data());
    EXPECT_DOUBLE_EQ(sum.loss, 2e4 + std::log1p(2 * std::exp(-20.0)));
    EXPECT_EQ(gradient[0], 1.0F);
    EXPECT_EQ(gradient[1], -1.0F);
    const LossSum sure = softmax_cross_entropy(1, 3, logits.data() + 3, labels.data() + 1, nullptr, 1.0F, gradient.data());
    const double rest = 2 * std::exp(-20.0);
    EXPECT_NEAR(sure.loss, rest, rest * 1e-6);
    EXPECT_NEAR(static_cast<double>(gradient[0]), -rest, rest * 1e-6);  // softmax - 1 keeps its digits
    const LossSum huge = softmax_cross_entropy(1, 3, logits.data() + 6, labels.data() + 2, nullptr, 1.0F, gradient.data());
    EXPECT_EQ(huge.loss, 0.0);
    for (std::size_t k = 0; k < 3; ++k) EXPECT_EQ(gradient[k], 0.0F);
}

TEST_P(Loss, MinusInfinityIsAProbabilityOfZeroAndNaNIsSeen) {
    const std::vector<float> logits = {0.0F, -infinite, 0.0F};
    const std::vector<std::int32_t> labels = {0, 1};
    std::vector<float> gradient(3);
    const LossSum possible = softmax_cross_entropy(1, 3, logits.data(), labels.data(), nullptr, 1.0F, gradient.data());
    EXPECT_NEAR(possible.loss, std::log(2.0), 1e-15);
    EXPECT_EQ(gradient, (std::vector<float>{-0.5F, 0.0F, 0.5F}));
    const LossSum impossible = softmax_cross_entropy(1, 3, logits.data(), labels.data() + 1, nullptr, 1.0F, gradient.data());
    EXPECT_EQ(impossible.loss, static_cast<double>(infinite));
    EXPECT_EQ(gradient, (std::vector<float>{0.5F, -1.0F, 0.5F}));
    for (std::size_t at = 0; at < 20; ++at) {
        std::vector<float> bad(20, 1.0F);
        bad[at] = not_a_number;
        std::vector<float> of_bad(20);
        EXPECT_TRUE(std::isnan(softmax_cross_entropy(1, 20, bad.data(), labels.data(), nullptr, 1.0F, of_bad.data()).loss)) << at;
        EXPECT_TRUE(std::isnan(of_bad[(at + 1) % 20])) << at;
    }
}

TEST_P(Loss, SoftmaxSumsToOneAndAllowsInPlace) {
    for (const auto& [batch, classes] : sizes) {
        auto logits = random_values(batch * classes, 6);
        for (float& z : logits) z *= 30;
        auto probabilities = logits;
        softmax(batch, classes, probabilities.data(), probabilities.data());
        for (std::size_t r = 0; r < batch; ++r) {
            const auto* row = logits.data() + r * classes;
            const double largest = static_cast<double>(*std::max_element(row, row + classes));
            double sum = 0;
            for (std::size_t k = 0; k < classes; ++k) sum += std::exp(static_cast<double>(row[k]) - largest);
            double total = 0;
            for (std::size_t k = 0; k < classes; ++k) {
                // The shift by the maximum rounds up to 60 to 2^-24 of it: 2^-19 of the result, 16 units.
                expect_units(probabilities[r * classes + k], std::exp(static_cast<double>(row[k]) - largest) / sum, 20);
                total += static_cast<double>(probabilities[r * classes + k]);
            }
            EXPECT_NEAR(total, 1.0, 4 * 0x1p-23);
        }
    }
}

double binary(double z, bool positive) {
    return std::log1p(std::exp(positive ? -z : z));
}

TEST(BinaryCrossEntropy, EqualsItsDefinitionAndItsGradientIsTheSlope) {
    const std::vector<float> logits = {-3.0F, -0.5F, 0.0F, 0.25F, 2.0F, 5.0F};
    const std::vector<std::int32_t> labels = {1, 0, 0, 1, 1, 0};
    const std::vector<float> weights = {0.5F, 2.0F};
    std::vector<float> gradient(logits.size());
    const LossSum sum = binary_cross_entropy(logits.size(), logits.data(), labels.data(), weights.data(), 0.25F, gradient.data());
    double expected = 0;
    for (std::size_t r = 0; r < logits.size(); ++r) {
        const double weight = labels[r] == 1 ? 2.0 : 0.5;
        const auto loss = [&](double z) { return binary(z, labels[r] == 1); };
        expected += weight * loss(static_cast<double>(logits[r]));
        EXPECT_NEAR(static_cast<double>(gradient[r]), 0.25 * weight * slope(loss, static_cast<double>(logits[r])), 0x1p-23);
    }
    EXPECT_NEAR(sum.loss, expected, 1e-13);
    EXPECT_EQ(sum.weight, 7.5);
    EXPECT_EQ(sum.correct, 4U);  // a logit of 0 says 0
}

TEST(BinaryCrossEntropy, LargeAndInfiniteLogitsAreSafe) {
    const std::vector<float> logits = {1e4F, 1e4F, -infinite, -infinite, infinite};
    const std::vector<std::int32_t> labels = {0, 1, 0, 1, 1};
    std::vector<float> gradient(logits.size());
    EXPECT_EQ(binary_cross_entropy(2, logits.data(), labels.data(), nullptr, 1.0F, gradient.data()).loss, 1e4);
    EXPECT_EQ(binary_cross_entropy(1, logits.data() + 2, labels.data() + 2, nullptr, 1.0F, nullptr).loss, 0.0);
    EXPECT_EQ(binary_cross_entropy(1, logits.data() + 3, labels.data() + 3, nullptr, 1.0F, nullptr).loss, static_cast<double>(infinite));
    (void)binary_cross_entropy(logits.size(), logits.data(), labels.data(), nullptr, 1.0F, gradient.data());
    EXPECT_EQ(gradient, (std::vector<float>{1.0F, 0.0F, 0.0F, -1.0F, 0.0F}));
}

TEST(SquaredError, EqualsItsDefinitionAndItsGradientIsTheSlope) {
    const std::size_t batch = 4;
    const std::size_t outputs = 3;
    auto y = random_values(batch * outputs, 1);
    const auto targets = random_values(batch * outputs, 2);
    std::vector<float> gradient(y.size());
    const LossSum sum = squared_error(batch, outputs, y.data(), targets.data(), 0.25F, gradient.data());
    const auto loss = [&](const std::vector<double>& at) {
        double total = 0;
        for (std::size_t i = 0; i < at.size(); ++i) total += std::pow(at[i] - static_cast<double>(targets[i]), 2) / outputs;
        return total;
    };
    EXPECT_NEAR(sum.loss, loss(std::vector<double>(y.begin(), y.end())), 1e-14);
    EXPECT_EQ(sum.weight, 4.0);
    EXPECT_EQ(sum.correct, 0U);
    const auto expected = slopes(loss, y);
    for (std::size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(static_cast<double>(gradient[i]), 0.25 * expected[i], 0x1p-24);
}

}  // namespace
}  // namespace silosum::kernels

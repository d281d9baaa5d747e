#include "kernels/loss.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/laws.hpp"
#include "kernels/place.hpp"
#include "kernels/reference.hpp"

namespace silosum::kernels {
namespace {

constexpr float infinite = std::numeric_limits<float>::infinity();

/// The kernels with vectors of the host; `scale` is the factor of the gradient, which is asked for where it is not empty.
class Loss : public EachPlace {
protected:
    using Labels = std::vector<std::int32_t>;

    LossSum cross_entropy_of(std::size_t classes, const std::vector<float>& logits, const Labels& labels, const std::vector<float>& weights,
                             float scale, std::vector<float>& gradient) const {
        return sum_of(scale, [&](Loan& loan, const float* factor, LossSum* sum, const auto& on) {
            softmax_cross_entropy(labels.size(), classes, loan.in(logits), loan.in(labels), loan.in(weights), factor, loan.out(gradient),
                                  sum, on);
        });
    }
    LossSum binary_of(const std::vector<float>& logits, const Labels& labels, const std::vector<float>& weights, float scale,
                      std::vector<float>& gradient) const {
        return sum_of(scale, [&](Loan& loan, const float* factor, LossSum* sum, const auto& on) {
            binary_cross_entropy(labels.size(), loan.in(logits), loan.in(labels), loan.in(weights), factor, loan.out(gradient), sum, on);
        });
    }
    template <class Kernel>
    LossSum sum_of(float scale, const Kernel& kernel) const {
        const std::vector<float> factor = {scale};
        std::vector<LossSum> sum(1);
        run([&](Loan& loan, const auto& on) { kernel(loan, loan.in(factor), loan.out(sum), on); });
        return sum[0];
    }

    std::vector<float> none_;
};
INSTANTIATE_TEST_SUITE_P(Each, Loss, testing::ValuesIn(places()), place_name);
class Softmax : public EachIsa {};
INSTANTIATE_TEST_SUITE_P(, Softmax, testing::ValuesIn(usable_isas()), isa_test_name);

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
            const LossSum sum = cross_entropy_of(classes, logits, labels, weights, 1.0F, none_);
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
        (void)cross_entropy_of(classes, logits, labels, weights, scale, gradient);
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
        const LossSum sum = sum_of(0.1F, [&, size = batch, columns = classes](Loan& loan, const float* scale, LossSum* to, const auto& on) {
            float* const both = loan.out(whole);
            softmax_cross_entropy(size, columns, both, loan.in(labels), nullptr, scale, both, to, on);
        });
        LossSum added;
        for (std::size_t r = 0; r < batch; ++r) {
            const std::vector<float> row(logits.begin() + static_cast<std::ptrdiff_t>(r * classes),
                                         logits.begin() + static_cast<std::ptrdiff_t>((r + 1) * classes));
            std::vector<float> gradient(classes, not_a_number);
            const LossSum one = cross_entropy_of(classes, row, {labels[r]}, {}, 0.1F, gradient);
            added.loss += one.loss;
            added.correct += one.correct;
            for (std::size_t k = 0; k < classes; ++k) ASSERT_EQ(whole[r * classes + k], gradient[k]) << batch << "x" << classes;
        }
        // On a GPU the samples are added in another order.
        EXPECT_NEAR(sum.loss, added.loss, is_cuda() ? sum.loss * static_cast<double>(batch) * 0x1p-53 : 0.0);
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
                const LossSum sum = cross_entropy_of(classes, logits, {of_sample}, {}, 1.0F, none_);
                EXPECT_EQ(sum.correct, label == first ? 1U : 0U);
            }
        }
    }
}

TEST_P(Loss, LargeLogitsAreFiniteAndCertaintyIsNotRoundedAway) {
    std::vector<float> gradient(6);
    const LossSum sum = cross_entropy_of(3, {1e4F, -1e4F, 0.0F, 20.0F, 0.0F, 0.0F}, {1, 0}, {}, 1.0F, gradient);
    EXPECT_DOUBLE_EQ(sum.loss, 2e4 + std::log1p(2 * std::exp(-20.0)));
    EXPECT_EQ(gradient[0], 1.0F);
    EXPECT_EQ(gradient[1], -1.0F);
    std::vector<float> one(3);
    const LossSum sure = cross_entropy_of(3, {20.0F, 0.0F, 0.0F}, {0}, {}, 1.0F, one);
    const double rest = 2 * std::exp(-20.0);
    EXPECT_NEAR(sure.loss, rest, rest * 1e-6);
    EXPECT_NEAR(static_cast<double>(one[0]), -rest, rest * 1e-6);  // softmax - 1 keeps its digits
    const LossSum huge = cross_entropy_of(3, {3e38F, -3e38F, 0.0F}, {0}, {}, 1.0F, one);
    EXPECT_EQ(huge.loss, 0.0);
    for (std::size_t k = 0; k < 3; ++k) EXPECT_EQ(one[k], 0.0F);
}

TEST_P(Loss, MinusInfinityIsAProbabilityOfZeroAndNaNIsSeen) {
    const std::vector<float> logits = {0.0F, -infinite, 0.0F};
    std::vector<float> gradient(3);
    const LossSum possible = cross_entropy_of(3, logits, {0}, {}, 1.0F, gradient);
    EXPECT_NEAR(possible.loss, std::log(2.0), 1e-15);
    EXPECT_EQ(gradient, (std::vector<float>{-0.5F, 0.0F, 0.5F}));
    const LossSum impossible = cross_entropy_of(3, logits, {1}, {}, 1.0F, gradient);
    EXPECT_EQ(impossible.loss, static_cast<double>(infinite));
    EXPECT_EQ(gradient, (std::vector<float>{0.5F, -1.0F, 0.5F}));
    for (std::size_t at = 0; at < 40; ++at) {
        std::vector<float> bad(40, 1.0F);
        bad[at] = not_a_number;
        std::vector<float> of_bad(40);
        EXPECT_TRUE(std::isnan(cross_entropy_of(40, bad, {0}, {}, 1.0F, of_bad).loss)) << at;
        EXPECT_TRUE(std::isnan(of_bad[(at + 1) % 40])) << at;
    }
}

TEST_P(Loss, MeanScaleIsOneOverTheSumOfWeights) {
    const std::vector<std::int32_t> labels = {0, 1, 1, 0, 1};
    const std::vector<float> weights = {0.5F, 2.0F}, zeros = {0.0F, 0.0F};
    std::vector<float> scales(4, not_a_number);
    run([&](Loan& loan, const auto& on) {
        float* const to = loan.out(scales);
        mean_scale(5, nullptr, nullptr, to, on);
        mean_scale(5, loan.in(labels), loan.in(weights), to + 1, on);
        mean_scale(5, loan.in(labels), loan.in(zeros), to + 2, on);
        mean_scale(0, nullptr, nullptr, to + 3, on);
    });
    EXPECT_EQ(scales, (std::vector<float>{0.2F, 1.0F / 7.0F, 0.0F, 0.0F}));
}

TEST_P(Softmax, SumsToOneAndAllowsInPlace) {
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

TEST_P(Loss, BinaryCrossEntropyEqualsItsDefinitionAndItsGradientIsTheSlope) {
    const std::vector<float> logits = {-3.0F, -0.5F, 0.0F, 0.25F, 2.0F, 5.0F};
    const std::vector<std::int32_t> labels = {1, 0, 0, 1, 1, 0};
    const std::vector<float> weights = {0.5F, 2.0F};
    std::vector<float> gradient(logits.size());
    const LossSum sum = binary_of(logits, labels, weights, 0.25F, gradient);
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

TEST_P(Loss, BinaryCrossEntropyIsSafeForLargeAndInfiniteLogits) {
    std::vector<float> gradient(5);
    EXPECT_EQ(binary_of({1e4F, 1e4F}, {0, 1}, {}, 1.0F, none_).loss, 1e4);
    EXPECT_EQ(binary_of({-infinite}, {0}, {}, 1.0F, none_).loss, 0.0);
    EXPECT_EQ(binary_of({-infinite}, {1}, {}, 1.0F, none_).loss, static_cast<double>(infinite));
    (void)binary_of({1e4F, 1e4F, -infinite, -infinite, infinite}, {0, 1, 0, 1, 1}, {}, 1.0F, gradient);
    EXPECT_EQ(gradient, (std::vector<float>{1.0F, 0.0F, 0.0F, -1.0F, 0.0F}));
}

TEST_P(Loss, SquaredErrorEqualsItsDefinitionAndItsGradientIsTheSlope) {
    const std::size_t batch = 4;
    const std::size_t outputs = 3;
    auto y = random_values(batch * outputs, 1);
    const auto targets = random_values(batch * outputs, 2);
    std::vector<float> gradient(y.size());
    const LossSum sum = sum_of(0.25F, [&](Loan& loan, const float* scale, LossSum* to, const auto& on) {
        squared_error(batch, outputs, loan.in(y), loan.in(targets), scale, loan.out(gradient), to, on);
    });
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

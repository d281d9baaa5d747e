#include "kernels/optimizer_step.hpp"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/laws.hpp"
#include "kernels/place.hpp"
#include "kernels/reference.hpp"

namespace silosum::kernels {
namespace {

class OptimizerStep : public EachPlace {};
INSTANTIATE_TEST_SUITE_P(Each, OptimizerStep, testing::ValuesIn(places()), place_name);
class OptimizerThreads : public EachIsa {};
INSTANTIATE_TEST_SUITE_P(, OptimizerThreads, testing::ValuesIn(usable_isas()), isa_test_name);

const std::vector<std::size_t> lengths = {0, 1, 3, 8, 15, 17, 100};
constexpr std::size_t steps = 4;

double squares(const Stream& stream, const std::vector<float>& x) {
    std::vector<double> sum(1);
    run_on(stream, [&](Loan& loan, const auto& on) { sum_of_squares(x.size(), loan.in(x), loan.out(sum), on); });
    return sum[0];
}

const std::vector<SgdStep> sgd_settings = {
    {.lr = 0.1F},
    {.lr = 0.1F, .weight_decay = 0.01F},
    {.lr = 0.05F, .momentum = 0.9F},
    {.lr = 0.05F, .momentum = 0.9F, .nesterov = true, .weight_decay = 0.01F},
};

TEST_P(OptimizerStep, SgdFollowsTheReference) {
    for (const SgdStep& settings : sgd_settings) {
        for (const std::size_t n : lengths) {
            auto parameters = random_values(n, 1);
            const auto start = parameters;
            std::vector<float> velocity(n);
            for (std::size_t s = 0; s < steps; ++s) {
                const auto gradient = random_values(n, 10 + s);
                run([&](Loan& loan, const auto& on) {
                    sgd_step(n, settings, nullptr, loan.out(parameters), loan.in(gradient),
                             settings.momentum == 0.0F ? nullptr : loan.out(velocity), on);
                });
            }
            for (std::size_t i = 0; i < n; ++i) {
                SgdReference reference;
                double expected = static_cast<double>(start[i]);
                for (std::size_t s = 0; s < steps; ++s) {
                    expected = reference.step(settings, static_cast<double>(settings.lr), expected,
                                              static_cast<double>(random_values(n, 10 + s)[i]));
                }
                // |velocity| < 8, five roundings of it in a step, and one of the parameter below 2.
                const double bound = steps * (5 * 8 * static_cast<double>(settings.lr) + 2) * 0x1p-24;
                ASSERT_NEAR(static_cast<double>(parameters[i]), expected, bound) << i;
                ASSERT_NEAR(static_cast<double>(velocity[i]), reference.velocity, steps * 5 * 8 * 0x1p-24) << i;
            }
        }
    }
}

TEST_P(OptimizerStep, PlainSgdStepIsOneMultiplyAdd) {
    std::vector<float> parameters = {1.0F, -2.0F, 0.5F};
    const std::vector<float> gradient = {0.5F, 0.25F, -1.0F};
    run([&](Loan& loan, const auto& on) { sgd_step(3, {.lr = 0.5F}, nullptr, loan.out(parameters), loan.in(gradient), nullptr, on); });
    EXPECT_EQ(parameters, (std::vector<float>{0.75F, -2.125F, 1.0F}));
}

TEST(SgdReference, MomentumOnAConstantGradientIsAGeometricSum) {
    // After t steps v = g (1 - mu^t) / (1 - mu), and the parameter has moved by lr times the sum of the v (Nesterov: of g + mu v).
    const double g = 0.7;
    const double lr = 0.1;
    for (const bool nesterov : {false, true}) {
        const SgdStep settings{.momentum = 0.5F, .nesterov = nesterov};
        SgdReference reference;
        double parameter = 3;
        double moved = 0;
        for (int t = 1; t <= 20; ++t) {
            parameter = reference.step(settings, lr, parameter, g);
            const double v = g * (1 - std::pow(0.5, t)) / 0.5;
            moved += lr * (nesterov ? g + 0.5 * v : v);
            ASSERT_NEAR(reference.velocity, v, 1e-14);
            ASSERT_NEAR(parameter, 3 - moved, 1e-14);
        }
    }
}

TEST(SgdReference, WeightDecayAloneShrinksGeometrically) {
    const SgdStep settings{.weight_decay = 0.25F};
    SgdReference reference;
    double parameter = 2;
    for (int t = 0; t < 10; ++t) parameter = reference.step(settings, 0.5, parameter, 0.0);
    EXPECT_DOUBLE_EQ(parameter, 2 * std::pow(1 - 0.5 * 0.25, 10));
}

TEST_P(OptimizerStep, GradientScaleComesBeforeWeightDecay) {
    const std::vector<float> scale = {0.25F}, gradient = {8.0F};
    std::vector<float> parameters = {2.0F}, m(1), v(1);
    run([&](Loan& loan, const auto& on) {
        sgd_step(1, {.lr = 1.0F, .weight_decay = 0.5F}, loan.in(scale), loan.out(parameters), loan.in(gradient), nullptr, on);
        adam_step(1, {.lr = 0.0F, .beta1 = 0.5F, .weight_decay = 0.0F}, loan.in(scale), loan.out(parameters), loan.in(gradient),
                  loan.out(m), loan.out(v), on);
    });
    EXPECT_EQ(m[0], 0.5F * 0.25F * 8.0F);
    EXPECT_EQ(parameters[0], 2.0F - (0.25F * 8.0F + 0.5F * 2.0F));
}

TEST_P(OptimizerStep, ClippingBringsTheNormDownToTheBound) {
    for (const double bound : {4.0, 5.0, 6.0}) {
        const std::vector<double> squares = {25.0};
        std::vector<float> scale(1);
        run([&](Loan& loan, const auto& on) { clip_scale(loan.in(squares), bound, loan.out(scale), on); });
        EXPECT_EQ(scale[0], bound < 5 ? 0.8F : 1.0F);
    }
}

const std::vector<AdamStep> adam_settings = {{.lr = 0.01F},
                                             {.lr = 0.1F, .beta1 = 0.5F, .beta2 = 0.9F, .epsilon = 1e-3F, .weight_decay = 0.1F}};

TEST_P(OptimizerStep, AdamFollowsTheReference) {
    for (AdamStep settings : adam_settings) {
        for (const std::size_t n : lengths) {
            auto parameters = random_values(n, 1);
            const auto start = parameters;
            std::vector<float> m(n);
            std::vector<float> v(n);
            for (std::size_t s = 0; s < steps; ++s) {
                settings.step = s + 1;
                // A gradient that does not change its sign: m / sqrt(v) then has no cancellation, and its rounding can be bounded.
                auto gradient = random_values(n, 10 + s);
                for (float& value : gradient) value = 2 + value;
                run([&](Loan& loan, const auto& on) {
                    adam_step(n, settings, nullptr, loan.out(parameters), loan.in(gradient), loan.out(m), loan.out(v), on);
                });
            }
            for (std::size_t i = 0; i < n; ++i) {
                AdamReference reference;
                double expected = static_cast<double>(start[i]);
                for (std::size_t s = 0; s < steps; ++s) {
                    settings.step = s + 1;
                    expected = reference.step(settings, static_cast<double>(settings.lr), expected,
                                              static_cast<double>(random_values(n, 10 + s)[i]) + 2);
                }
                // A move of about lr with some ten roundings (m, v, root, quotient), and one of the parameter below 2, in each step.
                ASSERT_NEAR(static_cast<double>(parameters[i]), expected, steps * (20 * static_cast<double>(settings.lr) + 2) * 0x1p-24)
                    << i;
                expect_units(m[i], reference.m, 6);
                expect_units(v[i], reference.v, 10);
            }
        }
    }
}

TEST(AdamReference, FirstStepMovesByTheLearningRateWhateverTheGradientsSize) {
    // m_hat = g and v_hat = g^2 after one step, so the move is lr g / (|g| + epsilon).
    for (const double g : {1e-3, 1.0, -50.0}) {
        AdamReference reference;
        const double moved = 1.0 - reference.step({.epsilon = 1e-8F}, 0.1, 1.0, g);
        EXPECT_NEAR(moved, 0.1 * g / (std::fabs(g) + static_cast<double>(1e-8F)), 1e-13);
    }
}

TEST_P(OptimizerStep, ValuesDoNotDependOnPlace) {
    const std::size_t n = 100;
    const auto gradient = random_values(n, 2);
    const SgdStep settings = sgd_settings[3];
    auto whole = random_values(n, 1);
    auto velocity = random_values(n, 3);
    auto part = whole;
    auto part_velocity = velocity;
    run([&](Loan& loan, const auto& on) {
        sgd_step(n, settings, nullptr, loan.out(whole), loan.in(gradient), loan.out(velocity), on);
        float* const at = loan.out(part);
        float* const velocity_at = loan.out(part_velocity);
        const float* const gradient_at = loan.in(gradient);
        for (std::size_t i = 0; i < n; ++i) sgd_step(1, settings, nullptr, at + i, gradient_at + i, velocity_at + i, on);
    });
    EXPECT_EQ(part, whole);
    EXPECT_EQ(part_velocity, velocity);
}

TEST_P(OptimizerStep, SumOfSquaresIsRightToTheRoundingOfDouble) {
    for (const std::size_t n : {0U, 1U, 5U, 31U, 4096U, 4097U, 50000U}) {
        const auto x = random_values(n, 5);
        long double expected = 0;
        for (const float value : x) expected += static_cast<long double>(value) * static_cast<long double>(value);
        EXPECT_NEAR(squares(stream(), x), static_cast<double>(expected), static_cast<double>(expected) * static_cast<double>(n) * 0x1p-53);
    }
    EXPECT_TRUE(std::isnan(squares(stream(), {not_a_number})));
}

TEST_P(OptimizerThreads, BitsDoNotDependOnThreads) {
    const std::size_t n = 70001;
    const auto start = random_values(n, 1);
    const auto gradient = random_values(n, 2);
    for (const SgdStep& settings : sgd_settings) {
        expect_same_for_any_threads([&](const Threads& threads) {
            auto parameters = start;
            std::vector<float> velocity(n, 0.25F);
            sgd_step(n, settings, nullptr, parameters.data(), gradient.data(), velocity.data(), threads);
            return parameters;
        });
    }
    expect_same_for_any_threads([&](const Threads& threads) {
        auto parameters = start;
        std::vector<float> m(n, 0.5F);
        std::vector<float> v(n, 0.25F);
        adam_step(n, {.lr = 0.01F, .step = 3}, nullptr, parameters.data(), gradient.data(), m.data(), v.data(), threads);
        return parameters;
    });
    const double expected = squares(Threads(1), start);
    EXPECT_EQ(squares(Threads(2), start), expected);
    EXPECT_EQ(squares(Threads(3), start), expected);
}

}  // namespace
}  // namespace silosum::kernels

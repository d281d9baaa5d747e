// Optimisers over packed vectors: the formulas against the double-precision ones, clipping, state and reset.
#include "model/optimizer.hpp"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/optimizer_step.hpp"

namespace silosum {
namespace {

const Threads one_thread(1);

std::vector<float> gradient_at(std::uint64_t step, std::size_t n) {
    std::vector<float> gradient;
    for (std::size_t i = 0; i < n; ++i) gradient.push_back(std::sin(static_cast<float>(3 * i + 7 * step + 1)));
    return gradient;
}

/// Parameters after three steps from 1.
std::vector<float> after_steps(const OptimizerSettings& settings, double lr, Optimizer* keep = nullptr) {
    std::vector<float> parameters(5, 1.0F);
    Optimizer optimizer(settings, parameters.size(), one_thread);
    for (std::uint64_t step = 0; step < 3; ++step) optimizer.step(lr, parameters, gradient_at(step, parameters.size()));
    if (keep != nullptr) *keep = std::move(optimizer);
    return parameters;
}

TEST(Optimizer, SgdFollowsItsSpecification) {
    for (const bool nesterov : {false, true}) {
        const OptimizerSettings settings{.momentum = 0.9, .nesterov = nesterov, .weight_decay = 0.1};
        const kernels::SgdStep spec{.momentum = 0.9F, .nesterov = nesterov, .weight_decay = 0.1F};
        const auto parameters = after_steps(settings, 0.05);
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            kernels::SgdReference reference;
            double expected = 1;
            for (std::uint64_t step = 0; step < 3; ++step) {
                expected = reference.step(spec, 0.05, expected, static_cast<double>(gradient_at(step, 5)[i]));
            }
            EXPECT_NEAR(parameters[i], expected, 1e-6);
        }
    }
}

TEST(Optimizer, AdamFollowsItsSpecification) {
    const auto parameters = after_steps({.kind = OptimizerSettings::Kind::adam, .weight_decay = 0.1, .beta1 = 0.8, .beta2 = 0.95}, 0.05);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        kernels::AdamReference reference;
        double expected = 1;
        for (std::uint64_t step = 0; step < 3; ++step) {
            const kernels::AdamStep spec{.beta1 = 0.8F, .beta2 = 0.95F, .weight_decay = 0.1F, .step = step + 1};
            expected = reference.step(spec, 0.05, expected, static_cast<double>(gradient_at(step, 5)[i]));
        }
        EXPECT_NEAR(parameters[i], expected, 2e-6);
    }
}

TEST(Optimizer, ClippingKeepsTheDirectionAndBoundsTheNorm) {
    std::vector<float> parameters(5, 0.0F);
    Optimizer optimizer({.clip_norm = 0.5}, parameters.size(), one_thread);
    EXPECT_FALSE(optimizer.settings().is_plain_sgd());
    const auto gradient = gradient_at(0, 5);
    optimizer.step(1, parameters, gradient);
    double norm = 0;
    for (const float value : parameters) norm += static_cast<double>(value) * static_cast<double>(value);
    EXPECT_NEAR(std::sqrt(norm), 0.5, 1e-6);
    for (std::size_t i = 1; i < 5; ++i) EXPECT_NEAR(parameters[i] / parameters[0], gradient[i] / gradient[0], 1e-5);

    const std::vector<float> small(5, 0.01F);
    std::vector<float> unclipped(5, 0.0F);
    optimizer.step(1, unclipped, small);
    for (const float value : unclipped) EXPECT_EQ(value, -0.01F);
}

TEST(Optimizer, ResetIsANewStart) {
    for (const auto kind : {OptimizerSettings::Kind::sgd, OptimizerSettings::Kind::adam}) {
        const OptimizerSettings settings{.kind = kind, .momentum = 0.5};
        Optimizer used({}, 0, one_thread);
        const auto expected = after_steps(settings, 0.1, &used);
        EXPECT_EQ(used.steps(), 3U);
        used.reset();
        std::vector<float> again(5, 1.0F);
        for (std::uint64_t step = 0; step < 3; ++step) used.step(0.1, again, gradient_at(step, 5));
        EXPECT_EQ(again, expected);
    }
}

TEST(Optimizer, StateCarriedOverContinuesTheRun) {
    const OptimizerSettings settings{.kind = OptimizerSettings::Kind::adam};
    Optimizer used({}, 0, one_thread);
    auto expected = after_steps(settings, 0.1, &used);
    auto parameters = expected;
    Optimizer carried(settings, 5, one_thread);
    for (std::size_t i = 0; i < used.vectors(); ++i) std::copy(used.vector(i).begin(), used.vector(i).end(), carried.vector(i).begin());
    carried.set_steps(used.steps());
    used.step(0.1, expected, gradient_at(9, 5));
    carried.step(0.1, parameters, gradient_at(9, 5));
    EXPECT_EQ(parameters, expected);
}

TEST(Optimizer, KeepsOnlyTheStateItNeeds) {
    EXPECT_EQ(OptimizerSettings{}.state_vectors(), 0U);
    EXPECT_EQ(OptimizerSettings{.momentum = 0.1}.state_vectors(), 1U);
    EXPECT_EQ(OptimizerSettings{.kind = OptimizerSettings::Kind::adam}.state_vectors(), 2U);
    EXPECT_EQ(Optimizer({.kind = OptimizerSettings::Kind::adam}, 100, one_thread).memory_bytes(), 800U);
}

}  // namespace
}  // namespace silosum

// Two silos with f_i(x) = a_i / 2 (x - b_i)^2, a = (1, 4), b = (1, -1), exact gradients, equal weights, local rate 0.1, start 0.
// The fixed point of FedAvg and its path are known in closed form: with M_i = (1 - eta a_i)^K,
//   y_i = b_i + M_i (x - b_i), x_inf = sum p_i (1 - M_i) b_i / sum p_i (1 - M_i), contraction sum p_i M_i.
#include <array>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "algorithms/fed_avg.hpp"
#include "kernels/optimizer_step.hpp"

namespace silosum {
namespace {

constexpr std::array<double, 2> curvature{1, 4};
constexpr std::array<double, 2> centre{1, -1};

// One round in double: K steps of the reference optimiser at each silo, then the server step on the mean update.
double fed_avg_round(double x, int steps, double rate, const kernels::SgdStep& settings, std::array<kernels::SgdReference, 2>& optimizers) {
    double mean = 0;
    for (std::size_t silo = 0; silo < 2; ++silo) {
        double y = x;
        for (int k = 0; k < steps; ++k) y = optimizers[silo].step(settings, rate, y, curvature[silo] * (y - centre[silo]));
        mean += 0.5 * (y - x);
    }
    return fed_avg_step(x, 1.0, mean);
}

std::vector<double> path(int rounds, int steps, double rate, const kernels::SgdStep& settings, bool keep_state) {
    std::array<kernels::SgdReference, 2> optimizers;
    std::vector<double> xs;
    double x = 0;
    for (int round = 0; round < rounds; ++round) {
        if (!keep_state) optimizers = {};
        x = fed_avg_round(x, steps, rate, settings, optimizers);
        xs.push_back(x);
    }
    return xs;
}

TEST(Quadratic, FedAvgReachesItsBiasedFixedPoint) {
    // K, fixed point, contraction: double-precision evaluation of the closed form above.
    const std::vector<std::array<double, 3>> golden{
        {1, -0.6, 0.75}, {2, -0.542168674699, 0.585}, {5, -0.385004693073, 0.334125}, {10, -0.208252015326, 0.177362528850}};
    for (const auto& [steps, fixed_point, contraction] : golden) {
        const auto xs = path(200, static_cast<int>(steps), 0.1, {}, false);
        EXPECT_NEAR(xs.back(), fixed_point, 1e-11);
        EXPECT_NEAR((xs[1] - fixed_point) / (xs[0] - fixed_point), contraction, 1e-9);
    }
}

TEST(Quadratic, FedAvgFollowsThePathOfTheClosedForm) {
    const std::array<double, 5> golden{-0.256365, -0.342022955625, -0.370643420048, -0.380206232724, -0.383401407509};
    const auto xs = path(5, 5, 0.1, {}, false);
    for (std::size_t i = 0; i < golden.size(); ++i) EXPECT_NEAR(xs[i], golden[i], 1e-12);
}

TEST(Quadratic, MomentumIsResetOrKeptBetweenRounds) {
    const kernels::SgdStep momentum{.momentum = 0.9F};
    // 0.9F is not 0.9: the path moves by about 1e-7 of itself.
    const std::array<double, 3> reset{-0.3075975168, -0.443469176941, -0.503486267526};
    const std::array<double, 3> kept{-0.3075975168, -0.606349227466, -0.575358808200};
    const auto reset_path = path(3, 5, 0.02, momentum, false);
    const auto kept_path = path(3, 5, 0.02, momentum, true);
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_NEAR(reset_path[i], reset[i], 2e-6);
        EXPECT_NEAR(kept_path[i], kept[i], 2e-6);
    }
}

TEST(FedAvg, MovesTheSliceByTheMeanUpdateTimesTheServerRate) {
    std::vector<float> slice{1.0F, -2.0F, 0.5F};
    Aggregate aggregate;
    std::vector<double> mean{0.25, -0.125, 3.0};
    aggregate.mean = mean;
    FedAvg(0.5).apply(slice, aggregate, Round{}, Threads());
    const std::vector<float> expected{1.125F, -2.0625F, 2.0F};
    EXPECT_EQ(slice, expected);
}

}  // namespace
}  // namespace silosum

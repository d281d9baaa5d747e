#include "benchmark/least_squares.hpp"

#include <random>

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace silosum {
namespace {

using Rows = std::vector<std::vector<double>>;

std::vector<double> times(const Rows& rows, const std::vector<double>& x) {
    std::vector<double> result;
    for (const auto& row : rows) {
        double sum = 0;
        for (std::size_t j = 0; j < x.size(); ++j) sum += row[j] * x[j];
        result.push_back(sum);
    }
    return result;
}

Rows random_rows(std::size_t count, std::size_t columns, unsigned seed) {
    std::mt19937 dice(seed);
    std::uniform_real_distribution<double> values(0, 1);
    Rows rows(count, std::vector<double>(columns));
    for (auto& row : rows) {
        for (double& value : row) value = values(dice);
    }
    return rows;
}

TEST(LeastSquares, PlantedValuesAreFoundWhateverTheirSize) {
    const std::vector<double> planted{1e-9, 0, 3, 2e-5, 0, 0.5};
    Rows rows = random_rows(40, planted.size(), 1);
    for (auto& row : rows) row[0] *= 1e9;  // a byte costs little, but there are many
    const auto fit = fit_non_negative(rows, times(rows, planted));
    for (std::size_t j = 0; j < planted.size(); ++j) EXPECT_NEAR(fit.values[j], planted[j], 1e-9 * std::max(planted[j], 1e-3));
}

// Karush, Kuhn, Tucker: no free value and no bound one can make the sum of squares less.
TEST(LeastSquares, NothingIsNegativeAndNothingCanBeMoved) {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        const Rows rows = random_rows(30, 6, seed);
        std::vector<double> wanted = times(rows, {1, -2, 0.5, -0.1, 2, 0});
        const auto fit = fit_non_negative(rows, wanted);
        const auto found = times(rows, fit.values);
        int bound = 0;
        for (std::size_t j = 0; j < 6; ++j) {
            double slope = 0;
            for (std::size_t i = 0; i < rows.size(); ++i) slope += rows[i][j] * (wanted[i] - found[i]);
            EXPECT_GE(fit.values[j], 0);
            bound += fit.values[j] == 0 ? 1 : 0;
            if (fit.values[j] > 0) {
                EXPECT_NEAR(slope, 0, 1e-9);
            } else {
                EXPECT_LE(slope, 1e-9);
            }
        }
        EXPECT_GT(bound, 0);
    }
}

// The last column explains most alone, and enters first; the others explain more together, and it would become negative.
TEST(LeastSquares, WhatCameFirstMayLeave) {
    const auto fit = fit_non_negative({{1, 0, 1}, {0, 1, 1}, {0, 0, 0.2}}, {1, 1, -0.5});
    EXPECT_NEAR(fit.values[0], 1, 1e-12);
    EXPECT_NEAR(fit.values[1], 1, 1e-12);
    EXPECT_EQ(fit.values[2], 0);
}

TEST(LeastSquares, AColumnOfZerosIsZero) {
    const auto fit = fit_non_negative({{1, 0}, {2, 0}}, {3, 6});
    EXPECT_NEAR(fit.values[0], 3, 1e-12);
    EXPECT_EQ(fit.values[1], 0);
    EXPECT_EQ(fit.covariance[1][1], 0);
}

TEST(LeastSquares, OfTwoColumnsThatAreAlikeOneHasAll) {
    for (const double difference : {0.0, 1e-8}) {
        Rows rows = random_rows(20, 3, 5);
        for (std::size_t i = 0; i < rows.size(); ++i) rows[i][2] = 3 * rows[i][0] + (i % 2 == 0 ? difference : 0);
        std::vector<double> wanted = times(rows, {1, 2, 1});
        for (std::size_t i = 0; i < rows.size(); ++i) wanted[i] += i % 2 == 0 ? -0.01 : 0;  // what a value near 10^6 would explain
        const auto fit = fit_non_negative(rows, wanted);
        EXPECT_NEAR(fit.values[0] + 3 * fit.values[2], 4, 0.1);
        EXPECT_NEAR(fit.values[1], 2, 0.1);
        EXPECT_EQ(fit.values[0] * fit.values[2], 0);
    }
}

TEST(LeastSquares, TheCovarianceOfOneColumnIsOneOverItsSquares) {
    EXPECT_NEAR(fit_non_negative({{3}, {4}}, {3, 4}).covariance[0][0], 1.0 / 25, 1e-12);
}

}  // namespace
}  // namespace silosum

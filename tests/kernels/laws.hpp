// Laws that the tests of elementwise kernels, pooling and normalisation share: bits do not depend on threads, and gradients are slopes.
#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/threads.hpp"

namespace silosum::kernels {

/// |actual - expected| <= units * 2^-23 * |expected|, that is about as many units in the last place; what is below `tiny` may be 0.
inline void expect_units(float actual, double expected, double units, const std::string& where = "", double tiny = 2e-38) {
    const double bound = units * std::ldexp(std::fabs(expected), -23) + tiny;
    ASSERT_LE(std::fabs(static_cast<double>(actual) - expected), bound) << where << ": " << actual << " instead of " << expected;
}

/// Slope of f at x by a central difference; with f in double it errs by about 1e-10 times the size of f and its third derivative.
inline double slope(const std::function<double(double)>& f, double x) {
    const double h = 1e-5;
    return (f(x + h) - f(x - h)) / (2 * h);
}

/// Slope of f along each of its values.
inline std::vector<double> slopes(const std::function<double(const std::vector<double>&)>& f, const std::vector<float>& at) {
    std::vector<double> x(at.begin(), at.end());
    std::vector<double> result;
    for (double& value : x) {
        const double kept = value;
        const auto along = [&](double moved) {
            value = moved;
            return f(x);
        };
        result.push_back(slope(along, kept));
        value = kept;
    }
    return result;
}

/// NaN compares as equal to nothing, so a test that must see it compares bits elsewhere.
inline void expect_same_for_any_threads(const std::function<std::vector<float>(const Threads&)>& kernel) {
    const auto expected = kernel(Threads(1));
    for (const std::size_t count : {2U, 3U}) {
        const auto values = kernel(Threads(count));
        ASSERT_EQ(values.size(), expected.size());
        for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], expected[i]) << count << " threads, value " << i;
    }
}

}  // namespace silosum::kernels

// What the tests of dense layers and convolutions share: random values, and comparison with sums in double.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/isa.hpp"

namespace silosum::kernels {

inline constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

/// Values in [-1, 1), exactly as many as asked for: the sanitizers see every access beyond them.
inline std::vector<float> random_values(std::size_t size, std::uint64_t seed) {
    std::vector<float> values(size);
    std::uint64_t state = seed * 0x9E3779B97F4A7C15U + 1;
    for (float& value : values) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        value = static_cast<float>(static_cast<double>(state >> 11) / static_cast<double>(std::uint64_t{1} << 52) - 1);
    }
    return values;
}

/// A sum of products in double, and what float32 may differ from it: summing n terms in any order, with or without fused
/// multiply-adds, errs by at most about (n + 1) u times the sum of magnitudes, u = 2^-24 (Higham, Accuracy and Stability, section 3.1).
struct Sum {
    double value = 0;
    double magnitude = 0;
    std::size_t terms = 0;

    void add(double term) {
        value += term;
        magnitude += std::fabs(term);
        ++terms;
    }
    [[nodiscard]] double bound() const { return 1.01 * static_cast<double>(terms + 2) * std::ldexp(magnitude, -24) + 1e-37; }
};

inline void expect_sum(const Sum& expected, float actual, const std::string& where) {
    ASSERT_LE(std::fabs(static_cast<double>(actual) - expected.value), expected.bound())
        << where << ": " << actual << " instead of " << expected.value;
}

/// Runs the tests of a suite once for each instruction set that this processor has.
class EachIsa : public testing::TestWithParam<Isa> {
protected:
    void SetUp() override { use_isa(GetParam()); }
    void TearDown() override { use_isa(best_isa()); }
};

inline std::string isa_test_name(const testing::TestParamInfo<Isa>& info) {
    return to_string(info.param);
}

}  // namespace silosum::kernels

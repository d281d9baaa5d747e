#include "kernels/activation.hpp"

#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/laws.hpp"
#include "kernels/place.hpp"
#include "kernels/reference.hpp"

namespace silosum::kernels {
namespace {

constexpr float infinite = std::numeric_limits<float>::infinity();
const std::vector<std::size_t> lengths = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 100};

class Activation : public EachPlace {};
INSTANTIATE_TEST_SUITE_P(Each, Activation, testing::ValuesIn(places()), place_name);
class ActivationThreads : public EachIsa {};
INSTANTIATE_TEST_SUITE_P(, ActivationThreads, testing::ValuesIn(usable_isas()), isa_test_name);

using Forward = OnEither<std::size_t, const float*, float*>;
using Backward = OnEither<std::size_t, const float*, const float*, float*>;

struct Case {
    const char* name;
    Forward forward;
    Backward backward;
    double (*exact)(double);
    bool takes_input;  // the backward pass takes x rather than y
};

/// 0.5 (1 + tanh(u)) = 1 / (1 + e^-2u), which keeps its digits for negative u.
double gelu(double x) {
    return x / (1 + std::exp(-2 * std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}
double sigmoid(double x) {
    return 1 / (1 + std::exp(-x));
}
double relu(double x) {
    return x > 0 ? x : 0;
}
double hyperbolic_tangent(double x) {
    return std::tanh(x);
}

const std::vector<Case> cases = {{"relu", {relu_forward, relu_forward}, {relu_backward, relu_backward}, relu, false},
                                 {"tanh", {tanh_forward, tanh_forward}, {tanh_backward, tanh_backward}, hyperbolic_tangent, false},
                                 {"sigmoid", {sigmoid_forward, sigmoid_forward}, {sigmoid_backward, sigmoid_backward}, sigmoid, false},
                                 {"gelu", {gelu_forward, gelu_forward}, {gelu_backward, gelu_backward}, gelu, true}};

/// Values from -100 to 100, dense around 0 and over many magnitudes.
std::vector<float> spread_values() {
    auto values = random_values(20000, 1);
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] *= i % 4 == 0 ? 100.0F : i % 4 == 1 ? 10.0F : i % 4 == 2 ? 1.0F : std::ldexp(1.0F, -static_cast<int>(i % 60));
    return values;
}

TEST_P(Activation, ForwardIsTheFunctionToAFewUnitsInTheLastPlace) {
    const auto x = spread_values();
    std::vector<float> y(x.size());
    for (const Case& c : cases) {
        if (c.exact == gelu) continue;
        run([&](Loan& loan, const auto& on) { c.forward(x.size(), loan.in(x), loan.out(y), on); });
        // An exponential to 2 units, two or three roundings after it.
        for (std::size_t i = 0; i < x.size(); ++i) expect_units(y[i], c.exact(static_cast<double>(x[i])), 4, c.name);
    }
}

TEST_P(Activation, GeluIsRightToTheRoundingOfItsExponent) {
    const auto x = spread_values();
    std::vector<float> y(x.size());
    run([&](Loan& loan, const auto& on) { gelu_forward(x.size(), loan.in(x), loan.out(y), on); });
    for (std::size_t i = 0; i < x.size(); ++i) {
        // In float the argument u of the sigmoid errs by 3 roundings; where the sigmoid is small that is a relative error 3 |u| 2^-24 of
        // the result.
        const double v = static_cast<double>(x[i]);
        const double u = std::fabs(1.6 * v * (1 + 0.044715 * v * v));
        expect_units(y[i], gelu(v), 5 + std::min(u, 90.0) * 2, "gelu", (1 + std::fabs(v)) * 2e-38);
    }
}

TEST_P(Activation, BackwardIsTheSlopeOfTheFunction) {
    for (const Case& c : cases) {
        auto x = random_values(500, 7);
        for (float& value : x) value *= 6;
        const auto dy = random_values(x.size(), 8);
        std::vector<float> y(x.size());
        std::vector<float> dx(x.size());
        run([&](Loan& loan, const auto& on) { c.forward(x.size(), loan.in(x), loan.out(y), on); });
        run([&](Loan& loan, const auto& on) { c.backward(x.size(), loan.in(c.takes_input ? x : y), loan.in(dy), loan.out(dx), on); });
        for (std::size_t i = 0; i < x.size(); ++i) {
            const double expected = static_cast<double>(dy[i]) * slope(c.exact, static_cast<double>(x[i]));
            // Values up to 1 that differ: 1 - y inherits the rounding of y; gelu's terms reach |x| times that.
            ASSERT_NEAR(static_cast<double>(dx[i]), expected, 20 * 0x1p-23) << c.name << " at " << x[i];
        }
    }
}

TEST_P(Activation, ValuesDoNotDependOnPlaceOrLengthAndInPlaceIsAllowed) {
    for (const Case& c : cases) {
        const auto x = random_values(100, 3);
        const auto dy = random_values(100, 4);
        std::vector<float> y(x.size());
        std::vector<float> dx(x.size());
        run([&](Loan& loan, const auto& on) { c.forward(x.size(), loan.in(x), loan.out(y), on); });
        run([&](Loan& loan, const auto& on) { c.backward(x.size(), loan.in(x), loan.in(dy), loan.out(dx), on); });
        for (const std::size_t n : lengths) {
            const auto start = static_cast<std::ptrdiff_t>(x.size() - n);
            std::vector<float> part(x.begin() + start, x.end());
            std::vector<float> slopes_of_part(dy.begin() + start, dy.end());
            run([&](Loan& loan, const auto& on) {
                float* const same = loan.out(slopes_of_part);
                c.backward(n, loan.in(part), same, same, on);
            });
            run([&](Loan& loan, const auto& on) {
                float* const same = loan.out(part);
                c.forward(n, same, same, on);
            });
            EXPECT_EQ(part, std::vector<float>(y.begin() + start, y.end())) << c.name << " " << n;
            EXPECT_EQ(slopes_of_part, std::vector<float>(dx.begin() + start, dx.end())) << c.name << " " << n;
        }
    }
}

TEST_P(Activation, NaNStaysAndLargeValuesAreSafe) {
    const std::vector<float> x = {not_a_number, 1e4F, -1e4F, 1e30F, -1e30F, 3e38F, -3e38F};
    const std::vector<float> ones(x.size(), 1.0F);
    for (const Case& c : cases) {
        std::vector<float> y(x.size());
        std::vector<float> dx(x.size());
        run([&](Loan& loan, const auto& on) { c.forward(x.size(), loan.in(x), loan.out(y), on); });
        EXPECT_TRUE(std::isnan(y[0])) << c.name;
        run([&](Loan& loan, const auto& on) { c.backward(x.size(), loan.in(c.takes_input ? x : y), loan.in(ones), loan.out(dx), on); });
        for (std::size_t i = 1; i < x.size(); ++i) {
            EXPECT_NEAR(static_cast<double>(y[i]), c.exact(static_cast<double>(x[i])), 0.0) << c.name << " at " << x[i];
            EXPECT_EQ(dx[i], c.exact == relu || c.exact == gelu ? (x[i] > 0 ? 1.0F : 0.0F) : 0.0F) << c.name << " at " << x[i];
        }
    }
    std::vector<float> y(2);
    const std::vector<float> infinities = {infinite, -infinite};
    for (const Case& c : cases) {
        if (c.exact == gelu) continue;  // 0 times infinity
        run([&](Loan& loan, const auto& on) { c.forward(2, loan.in(infinities), loan.out(y), on); });
        EXPECT_EQ(y[0], c.exact == relu ? infinite : 1.0F) << c.name;
        EXPECT_EQ(y[1], c.exact == hyperbolic_tangent ? -1.0F : 0.0F) << c.name;
    }
}

TEST_P(Activation, DropoutKeepsByTheWordOfTheElementAndScales) {
    const Random random(11, Purpose::dropout, 5, 0xFFFFFFFFU);
    const auto x = random_values(1700, 9);
    for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{1} << 40, (std::uint64_t{1} << 34) - 7}) {
        for (const std::size_t n : {0U, 1U, 2U, 5U, 16U, 511U, 512U, 513U, 1700U}) {
            for (const float rate : {0.0F, 0.25F, 0.9F}) {
                std::vector<float> y(n);
                run([&](Loan& loan, const auto& on) { dropout(n, random, first, rate, loan.in(x), loan.out(y), on); });
                for (std::size_t i = 0; i < n; ++i) {
                    const bool kept = static_cast<double>(random.word(first + i)) >= static_cast<double>(rate) * 0x1p32;
                    ASSERT_EQ(y[i], kept ? x[i] * (1.0F / (1.0F - rate)) : 0.0F) << "element " << i << " from " << first;
                }
            }
        }
    }
}

TEST_P(Activation, DropoutKeepsTheMean) {
    const std::size_t n = 100000;
    std::vector<float> values(n, 1.0F);
    run([&](Loan& loan, const auto& on) {
        float* const same = loan.out(values);
        dropout(n, Random(1, Purpose::dropout), 0, 0.3F, same, same, on);
    });
    double sum = 0;
    for (const float value : values) sum += static_cast<double>(value);
    // Standard deviation of the mean: sqrt(0.3 / 0.7 / n) = 0.002; five of them.
    EXPECT_NEAR(sum / static_cast<double>(n), 1.0, 0.0104);
}

TEST_P(ActivationThreads, BitsDoNotDependOnThreads) {
    const std::size_t n = 70001;
    const auto x = random_values(n, 1);
    const auto dy = random_values(n, 2);
    for (const Case& c : cases) {
        expect_same_for_any_threads([&](const Threads& threads) {
            std::vector<float> y(n);
            c.forward(n, x.data(), y.data(), threads);
            return y;
        });
        expect_same_for_any_threads([&](const Threads& threads) {
            std::vector<float> dx(n);
            c.backward(n, x.data(), dy.data(), dx.data(), threads);
            return dx;
        });
    }
    expect_same_for_any_threads([&](const Threads& threads) {
        std::vector<float> y(n);
        dropout(n, Random(1, Purpose::dropout), 2, 0.5F, x.data(), y.data(), threads);
        return y;
    });
}

}  // namespace
}  // namespace silosum::kernels

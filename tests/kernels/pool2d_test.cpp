#include "kernels/pool2d.hpp"

#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/laws.hpp"
#include "kernels/place.hpp"
#include "kernels/reference.hpp"

namespace silosum::kernels {
namespace {

class Pool2d : public EachPlace {};
INSTANTIATE_TEST_SUITE_P(Each, Pool2d, testing::ValuesIn(places()), place_name);
class Pool2dThreads : public EachIsa {};
INSTANTIATE_TEST_SUITE_P(, Pool2dThreads, testing::ValuesIn(usable_isas()), isa_test_name);

/// Tiled, with rest, padded, overlapping, with gaps; channels around the lengths of vectors.
std::vector<PoolShape> shapes() {
    std::vector<PoolShape> result;
    for (const std::size_t channels : {1U, 3U, 4U, 6U, 8U, 16U, 17U, 37U}) {
        result.push_back({channels, 6, 8, 2, 2, 0});
        result.push_back({channels, 7, 5, 2, 2, 0});
        result.push_back({channels, 7, 6, 3, 2, 1});
        result.push_back({channels, 5, 5, 3, 1, 2});
        result.push_back({channels, 7, 8, 2, 3, 1});
        result.push_back({channels, 4, 4, 4, 4, 0});
    }
    return result;
}

constexpr std::size_t samples = 2;

/// visit(output index, tap position, input index) for every tap inside the image, in the order that decides ties.
template <class Visit>
void for_each_tap(const PoolShape& shape, const Visit& visit) {
    for (std::size_t s = 0; s < samples; ++s)
        for (std::size_t oy = 0; oy < shape.out_height(); ++oy)
            for (std::size_t ox = 0; ox < shape.out_width(); ++ox)
                for (std::size_t tap = 0; tap < shape.window * shape.window; ++tap) {
                    const auto y =
                        static_cast<std::ptrdiff_t>(oy * shape.stride + tap / shape.window) - static_cast<std::ptrdiff_t>(shape.padding);
                    const auto x =
                        static_cast<std::ptrdiff_t>(ox * shape.stride + tap % shape.window) - static_cast<std::ptrdiff_t>(shape.padding);
                    if (y < 0 || x < 0 || y >= static_cast<std::ptrdiff_t>(shape.height) || x >= static_cast<std::ptrdiff_t>(shape.width))
                        continue;
                    for (std::size_t c = 0; c < shape.channels; ++c) {
                        const std::size_t in =
                            ((s * shape.height + static_cast<std::size_t>(y)) * shape.width + static_cast<std::size_t>(x)) *
                                shape.channels +
                            c;
                        visit(((s * shape.out_height() + oy) * shape.out_width() + ox) * shape.channels + c, tap, in);
                    }
                }
}

struct Pooled {
    std::vector<float> y;
    std::vector<std::uint8_t> winner;
};
Pooled max_pool(const PoolShape& shape, const std::vector<float>& x, const Stream& stream) {
    Pooled result{std::vector<float>(samples * shape.out_size()), std::vector<std::uint8_t>(samples * shape.out_size())};
    run_on(stream, [&](Loan& loan, const auto& on) {
        max_pool_forward(shape, samples, loan.in(x), loan.out(result.y), loan.out(result.winner), on);
    });
    return result;
}

TEST_P(Pool2d, MaximumAndItsFirstPlaceOverTheTapsInsideTheImage) {
    for (const PoolShape& shape : shapes()) {
        auto x = random_values(samples * shape.in_size(), 1);
        for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::floor(x[i] * 3) - 4;  // few values: many ties; all below the padding's zero
        std::vector<float> y(samples * shape.out_size(), -std::numeric_limits<float>::infinity());
        std::vector<std::uint8_t> winner(y.size());
        for_each_tap(shape, [&](std::size_t out, std::size_t tap, std::size_t in) {
            if (x[in] <= y[out]) return;
            y[out] = x[in];
            winner[out] = static_cast<std::uint8_t>(tap);
        });
        const Pooled pooled = max_pool(shape, x, stream());
        ASSERT_EQ(pooled.y, y);
        ASSERT_EQ(pooled.winner, winner);
    }
}

TEST_P(Pool2d, NaNWinsWhereverItStands) {
    const PoolShape shape{5, 4, 4, 2, 2, 0};
    for (std::size_t pixel = 0; pixel < 16; ++pixel) {
        auto x = random_values(samples * shape.in_size(), 1);
        x[pixel * shape.channels + 3] = not_a_number;
        const Pooled pooled = max_pool(shape, x, stream());
        std::size_t bad = 0;
        for (const float value : pooled.y) bad += std::isnan(value) ? 1U : 0U;
        EXPECT_EQ(bad, 1U) << pixel;
    }
}

TEST_P(Pool2d, MaximumsGradientGoesToTheWinners) {
    for (const PoolShape& shape : shapes()) {
        const auto x = random_values(samples * shape.in_size(), 2);
        const auto dy = random_values(samples * shape.out_size(), 3);
        const Pooled pooled = max_pool(shape, x, stream());
        auto relu_output = pooled.y;
        for (std::size_t i = 0; i < relu_output.size(); i += 3) relu_output[i] = 0;
        for (const bool with_relu : {false, true}) {
            std::vector<float> expected(x.size(), 0.0F);
            for_each_tap(shape, [&](std::size_t out, std::size_t tap, std::size_t in) {
                if (pooled.winner[out] == tap && (!with_relu || relu_output[out] > 0)) expected[in] += dy[out];
            });
            const auto relu_or_none = with_relu ? relu_output : std::vector<float>();
            std::vector<float> dx(x.size(), not_a_number);  // must be overwritten
            run([&](Loan& loan, const auto& on) {
                max_pool_backward(shape, samples, loan.in(dy), loan.in(pooled.winner), loan.in(relu_or_none), loan.out(dx), on);
            });
            ASSERT_EQ(dx, expected);
        }
    }
}

/// sum of dy times the pooled values, in double.
double pooled_sum(const PoolShape& shape, const std::vector<double>& x, const std::vector<float>& dy, bool maximum) {
    std::vector<double> y(dy.size(), maximum ? -1e300 : 0.0);
    for_each_tap(shape, [&](std::size_t out, std::size_t, std::size_t in) {
        y[out] = maximum ? std::max(y[out], x[in]) : y[out] + x[in] / static_cast<double>(shape.window * shape.window);
    });
    double sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * static_cast<double>(dy[i]);
    return sum;
}

TEST_P(Pool2d, BackwardIsTheSlopeOfForward) {
    for (const PoolShape& shape : {PoolShape{3, 5, 4, 2, 2, 0}, PoolShape{5, 5, 5, 3, 2, 1}}) {
        const auto x = random_values(samples * shape.in_size(), 4);
        const auto dy = random_values(samples * shape.out_size(), 5);
        const Pooled pooled = max_pool(shape, x, stream());
        std::vector<float> of_maximum(x.size());
        std::vector<float> of_average(x.size());
        run([&](Loan& loan, const auto& on) {
            max_pool_backward(shape, samples, loan.in(dy), loan.in(pooled.winner), nullptr, loan.out(of_maximum), on);
        });
        run([&](Loan& loan, const auto& on) { average_pool_backward(shape, samples, loan.in(dy), loan.out(of_average), on); });
        const auto expected_maximum = slopes([&](const auto& at) { return pooled_sum(shape, at, dy, true); }, x);
        const auto expected_average = slopes([&](const auto& at) { return pooled_sum(shape, at, dy, false); }, x);
        for (std::size_t i = 0; i < x.size(); ++i) {
            // Both are linear near x: at most 4 (9 / stride^2, rounded up) float sums of values below 1, and the differences' own 1e-9.
            ASSERT_NEAR(static_cast<double>(of_maximum[i]), expected_maximum[i], 4 * 0x1p-23 + 1e-9) << i;
            ASSERT_NEAR(static_cast<double>(of_average[i]), expected_average[i], 4 * 0x1p-23 + 1e-9) << i;
        }
    }
}

TEST_P(Pool2d, AverageCountsPaddingAsZeros) {
    for (const PoolShape& shape : shapes()) {
        const auto x = random_values(samples * shape.in_size(), 6);
        std::vector<Sum> expected(samples * shape.out_size());
        const double share = 1.0 / static_cast<double>(shape.window * shape.window);
        for_each_tap(shape, [&](std::size_t out, std::size_t, std::size_t in) { expected[out].add(static_cast<double>(x[in]) * share); });
        std::vector<float> y(expected.size(), not_a_number);
        run([&](Loan& loan, const auto& on) { average_pool_forward(shape, samples, loan.in(x), loan.out(y), on); });
        for (std::size_t i = 0; i < y.size(); ++i) expect_sum(expected[i], y[i], "average " + std::to_string(i));
    }
}

TEST_P(Pool2dThreads, BitsDoNotDependOnThreads) {
    const PoolShape shape{37, 28, 28, 3, 2, 1};  // large enough for three parts
    const auto x = random_values(samples * shape.in_size(), 7);
    const auto dy = random_values(samples * shape.out_size(), 8);
    expect_same_for_any_threads([&](const Threads& threads) { return max_pool(shape, x, threads).y; });
    expect_same_for_any_threads([&](const Threads& threads) {
        const Pooled pooled = max_pool(shape, x, threads);
        std::vector<float> dx(x.size());
        max_pool_backward(shape, samples, dy.data(), pooled.winner.data(), pooled.y.data(), dx.data(), threads);
        return dx;
    });
    expect_same_for_any_threads([&](const Threads& threads) {
        std::vector<float> y(dy.size());
        average_pool_forward(shape, samples, x.data(), y.data(), threads);
        return y;
    });
    expect_same_for_any_threads([&](const Threads& threads) {
        std::vector<float> dx(x.size());
        average_pool_backward(shape, samples, dy.data(), dx.data(), threads);
        return dx;
    });
}

}  // namespace
}  // namespace silosum::kernels

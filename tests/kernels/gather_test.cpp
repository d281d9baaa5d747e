#include "kernels/gather.hpp"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/place.hpp"
#include "kernels/reference.hpp"

namespace silosum::kernels {
namespace {

class Gather : public EachPlace {};
INSTANTIATE_TEST_SUITE_P(Each, Gather, testing::ValuesIn(places()), place_name);

const std::vector<std::size_t> row_lengths = {1, 2, 3, 4, 5, 7, 8, 13, 15, 16, 17, 33, 784};

/// One product and one sum, each rounded at most once: (|x scale| + |x scale + offset|) 2^-24, with 1 % for what is of second order.
void expect_affine(float actual, double x, float scale, float offset) {
    const double product = x * static_cast<double>(scale);
    const double expected = product + static_cast<double>(offset);
    ASSERT_NEAR(static_cast<double>(actual), expected, std::ldexp(std::fabs(product) + std::fabs(expected), -24) * 1.01 + 1e-40);
}

template <class T>
void expect_batches(const std::vector<T>& pool, const Stream& stream) {
    for (const std::size_t features : row_lengths) {
        const std::vector<T> x(pool.begin(), pool.begin() + static_cast<std::ptrdiff_t>(6 * features));
        const std::vector<std::uint32_t> order = {5, 0, 3, 3, 1};
        for (const bool per_feature : {false, true}) {
            const auto scale = random_values(per_feature ? features : 1, 3);
            const auto offset = random_values(per_feature ? features : 1, 4);
            std::vector<float> batch(order.size() * features, not_a_number);
            run_on(stream, [&](Loan& loan, const auto& on) {
                gather_rows(order.size(), features, loan.in(x), loan.in(order), loan.in(scale), loan.in(offset), per_feature,
                            loan.out(batch), on);
            });
            for (std::size_t r = 0; r < order.size(); ++r) {
                for (std::size_t f = 0; f < features; ++f) {
                    const std::size_t at = per_feature ? f : 0;
                    expect_affine(batch[r * features + f], static_cast<double>(x[order[r] * features + f]), scale[at], offset[at]);
                }
            }
        }
    }
}

TEST_P(Gather, TakesRowsInOrderThroughTheAffineMap) {
    expect_batches(random_values(6 * 784, 1), stream());
    std::vector<std::uint8_t> bytes(6 * 784);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 37 + i / 256);
    expect_batches(bytes, stream());
}

TEST_P(Gather, IsExactForOneAndZero) {
    std::vector<std::uint8_t> bytes(256);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
    const std::vector<std::uint32_t> first = {0};
    const std::vector<float> one = {1};
    const std::vector<float> zero = {0};
    std::vector<float> batch(bytes.size());
    run([&](Loan& loan, const auto& on) {
        gather_rows(1, bytes.size(), loan.in(bytes), loan.in(first), loan.in(one), loan.in(zero), false, loan.out(batch), on);
    });
    for (std::size_t i = 0; i < bytes.size(); ++i) EXPECT_EQ(batch[i], static_cast<float>(i));
}

TEST_P(Gather, ValuesDoNotDependOnThePlaceInTheRow) {
    // The same number in every place of rows of every length gives one result.
    const std::vector<float> scale = {0.0039215689F};
    const std::vector<float> offset = {-0.4242F};
    const std::vector<std::uint32_t> first = {0};
    float expected = 0;
    for (const std::size_t features : row_lengths) {
        const std::vector<std::uint8_t> x(features, 173);
        std::vector<float> batch(features);
        run([&](Loan& loan, const auto& on) {
            gather_rows(1, features, loan.in(x), loan.in(first), loan.in(scale), loan.in(offset), false, loan.out(batch), on);
        });
        if (features == 1) expected = batch[0];
        for (const float value : batch) EXPECT_EQ(value, expected) << features;
    }
}

TEST_P(Gather, TakesLabelsAndTargetsInTheSameOrder) {
    const std::vector<std::uint32_t> order = {5, 0, 3, 3, 1};
    const std::vector<std::int32_t> labels = {7, 8, 9, 10, 11, 12};
    const std::vector<float> targets = random_values(6, 1);
    std::vector<std::int32_t> chosen(order.size());
    std::vector<float> chosen_targets(order.size());
    run([&](Loan& loan, const auto& on) {
        gather_values(order.size(), loan.in(labels), loan.in(order), loan.out(chosen), on);
        gather_values(order.size(), loan.in(targets), loan.in(order), loan.out(chosen_targets), on);
    });
    EXPECT_EQ(chosen, (std::vector<std::int32_t>{12, 7, 10, 10, 8}));
    for (std::size_t r = 0; r < order.size(); ++r) EXPECT_EQ(chosen_targets[r], targets[order[r]]);
}

TEST_P(Gather, PlacesAreFollowedBothWays) {
    if (!is_cuda()) return;  // a model on the processor packs by itself
    const std::vector<std::uint32_t> places = {2, nowhere, 0, 1, nowhere};
    const std::vector<float> flat = {10, 20, 30};
    std::vector<float> packed(places.size(), not_a_number), back(flat.size(), not_a_number);
    Loan loan(stream());
    float* const there = loan.out(packed);
    gather_places(places.size(), loan.in(places), loan.in(flat), there, stream().cuda());
    scatter_places(places.size(), loan.in(places), there, loan.out(back), stream().cuda());
    loan.give_back();
    EXPECT_EQ(packed, (std::vector<float>{30, 0, 10, 20, 0}));
    EXPECT_EQ(back, flat);
}

}  // namespace
}  // namespace silosum::kernels

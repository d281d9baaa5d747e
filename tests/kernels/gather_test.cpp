#include "kernels/gather.hpp"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/reference.hpp"

namespace silosum::kernels {
namespace {

class Gather : public EachIsa {};
INSTANTIATE_TEST_SUITE_P(, Gather, testing::ValuesIn(usable_isas()), isa_test_name);

const std::vector<std::size_t> row_lengths = {1, 2, 3, 4, 5, 7, 8, 13, 15, 16, 17, 33, 784};

/// One product and one sum, each rounded at most once: (|x scale| + |x scale + offset|) 2^-24, with 1 % for what is of second order.
void expect_affine(float actual, double x, float scale, float offset) {
    const double product = x * static_cast<double>(scale);
    const double expected = product + static_cast<double>(offset);
    ASSERT_NEAR(static_cast<double>(actual), expected, std::ldexp(std::fabs(product) + std::fabs(expected), -24) * 1.01 + 1e-40);
}

template <class T>
void expect_batches(const std::vector<T>& pool) {
    for (const std::size_t features : row_lengths) {
        const std::vector<T> x(pool.begin(), pool.begin() + static_cast<std::ptrdiff_t>(6 * features));
        const std::vector<std::uint32_t> order = {5, 0, 3, 3, 1};
        for (const bool per_feature : {false, true}) {
            const auto scale = random_values(per_feature ? features : 1, 3);
            const auto offset = random_values(per_feature ? features : 1, 4);
            std::vector<float> batch(order.size() * features, not_a_number);
            gather_rows(order.size(), features, x.data(), order.data(), scale.data(), offset.data(), per_feature, batch.data());
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
    expect_batches(random_values(6 * 784, 1));
    std::vector<std::uint8_t> bytes(6 * 784);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 37 + i / 256);
    expect_batches(bytes);
}

TEST_P(Gather, IsExactForOneAndZero) {
    std::vector<std::uint8_t> bytes(256);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
    const std::uint32_t first = 0;
    const float one = 1;
    const float zero = 0;
    std::vector<float> batch(bytes.size());
    gather_rows(1, bytes.size(), bytes.data(), &first, &one, &zero, false, batch.data());
    for (std::size_t i = 0; i < bytes.size(); ++i) EXPECT_EQ(batch[i], static_cast<float>(i));
}

TEST_P(Gather, ValuesDoNotDependOnThePlaceInTheRow) {
    // The same number in every place of rows of every length gives one result.
    const float scale = 0.0039215689F;
    const float offset = -0.4242F;
    const std::uint32_t first = 0;
    float expected = 0;
    for (const std::size_t features : row_lengths) {
        const std::vector<std::uint8_t> x(features, 173);
        std::vector<float> batch(features);
        gather_rows(1, features, x.data(), &first, &scale, &offset, false, batch.data());
        if (features == 1) expected = batch[0];
        for (const float value : batch) EXPECT_EQ(value, expected) << features;
    }
}

}  // namespace
}  // namespace silosum::kernels

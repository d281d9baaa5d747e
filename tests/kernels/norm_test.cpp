#include "kernels/norm.hpp"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/laws.hpp"
#include "kernels/place.hpp"
#include "kernels/reference.hpp"

namespace silosum::kernels {
namespace {

/// Layer normalisation of a vector and of an image; group normalisation with one, some and as many groups as channels.
const std::vector<NormShape> shapes = {{.pixels = 1, .channels = 13, .groups = 1, .per_feature = true},
                                       {.pixels = 6, .channels = 5, .groups = 1, .per_feature = true},
                                       {.pixels = 6, .channels = 8, .groups = 1},
                                       {.pixels = 9, .channels = 12, .groups = 3, .epsilon = 1e-3F},
                                       {.pixels = 4, .channels = 70, .groups = 2},
                                       {.pixels = 5, .channels = 4, .groups = 4}};
constexpr std::size_t samples = 3;

class Norm : public EachPlace {};
INSTANTIATE_TEST_SUITE_P(Each, Norm, testing::ValuesIn(places()), place_name);

struct Data {
    std::vector<float> x, weight, bias, dy;
};
Data some_data(const NormShape& shape, std::size_t count = samples) {
    Data data{random_values(count * shape.size(), 1), random_values(shape.weights(), 2), random_values(shape.weights(), 3),
              random_values(count * shape.size(), 4)};
    for (float& value : data.x) value = 2 * value + 0.5F;
    return data;
}

/// y in double from the definition.
std::vector<double> normalised(const NormShape& shape, const std::vector<double>& x, const std::vector<double>& weight,
                               const std::vector<double>& bias) {
    std::vector<double> y(x.size());
    const std::size_t width = shape.channels / shape.groups;
    for (std::size_t s = 0; s < x.size() / shape.size(); ++s) {
        for (std::size_t group = 0; group < shape.groups; ++group) {
            std::vector<std::size_t> members;
            for (std::size_t i = 0; i < shape.size(); ++i) {
                if (i % shape.channels / width == group) members.push_back(i);
            }
            const auto count = static_cast<double>(members.size());
            double mean = 0;
            for (const std::size_t i : members) mean += x[s * shape.size() + i] / count;
            double variance = 0;
            for (const std::size_t i : members) variance += std::pow(x[s * shape.size() + i] - mean, 2) / count;
            const double deviation = std::sqrt(variance + static_cast<double>(shape.epsilon));
            for (const std::size_t i : members) {
                const std::size_t w = shape.per_feature ? i : i % shape.channels;
                y[s * shape.size() + i] = (x[s * shape.size() + i] - mean) / deviation * weight[w] + bias[w];
            }
        }
    }
    return y;
}

std::vector<double> in_double(const std::vector<float>& x) {
    return {x.begin(), x.end()};
}

struct Normalised {
    std::vector<float> y, statistics;
};
Normalised forward(const NormShape& shape, const Data& data, const Stream& stream) {
    const std::size_t count = data.x.size() / shape.size();
    Normalised result{std::vector<float>(data.x.size()), std::vector<float>(count * shape.groups * 2)};
    run_on(stream, [&](Loan& loan, const auto& on) {
        norm_forward(shape, count, loan.in(data.x), loan.in(data.weight), loan.in(data.bias), loan.out(result.y),
                     loan.out(result.statistics), on);
    });
    return result;
}

TEST_P(Norm, ForwardEqualsItsDefinition) {
    for (const NormShape& shape : shapes) {
        const Data data = some_data(shape);
        const auto y = forward(shape, data, stream()).y;
        const auto expected = normalised(shape, in_double(data.x), in_double(data.weight), in_double(data.bias));
        // Normalised values stay below 5 here; six roundings of them and of mean, deviation, weight and bias.
        for (std::size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(static_cast<double>(y[i]), expected[i], 6 * 5 * 0x1p-24) << i;
    }
}

/// sum of dy y, whose slopes are the gradients.
double weighted_sum(const NormShape& shape, const Data& data, const std::vector<double>& x, const std::vector<double>& weight,
                    const std::vector<double>& bias) {
    const auto y = normalised(shape, x, weight, bias);
    double sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * static_cast<double>(data.dy[i]);
    return sum;
}

void expect_near(const std::vector<float>& actual, const std::vector<double>& expected, double bound, const char* what) {
    ASSERT_EQ(actual.size(), expected.size());
    for (std::size_t i = 0; i < actual.size(); ++i) ASSERT_NEAR(static_cast<double>(actual[i]), expected[i], bound) << what << " " << i;
}

TEST_P(Norm, BackwardIsTheSlopeOfForward) {
    for (const NormShape& shape : shapes) {
        const Data data = some_data(shape);
        const auto statistics = forward(shape, data, stream()).statistics;
        std::vector<float> dx(data.x.size());
        std::vector<float> dweight(shape.weights(), not_a_number);  // decay 0 must not read them
        std::vector<float> dbias(shape.weights(), not_a_number);
        run([&](Loan& loan, const auto& on) {
            norm_backward(shape, samples, loan.in(data.x), loan.in(data.weight), loan.in(statistics), loan.in(data.dy), loan.out(dx), 1.0F,
                          0.0F, loan.out(dweight), loan.out(dbias), on);
        });
        const auto x = in_double(data.x);
        const auto weight = in_double(data.weight);
        const auto bias = in_double(data.bias);
        // Values below 5 with some ten roundings; the differences err by 1e-10 times a sum below 1000 and third derivatives below 10.
        const double bound = 10 * 5 * 0x1p-24 + 1e-7;
        expect_near(dx, slopes([&](const auto& at) { return weighted_sum(shape, data, at, weight, bias); }, data.x), bound, "dx");
        const double terms = static_cast<double>(data.x.size() / shape.weights());
        expect_near(dweight, slopes([&](const auto& at) { return weighted_sum(shape, data, x, at, bias); }, data.weight), terms * bound,
                    "dweight");
        expect_near(dbias, slopes([&](const auto& at) { return weighted_sum(shape, data, x, weight, at); }, data.bias), terms * bound,
                    "dbias");
    }
}

TEST(NormOnThreads, BatchInPartsGivesTheSameBitsAsAWhole) {
    for (const NormShape& shape : shapes) {
        const Data data = some_data(shape);
        const auto statistics = forward(shape, data, Threads()).statistics;
        const auto gradient = [&](std::size_t first, std::size_t count, float decay, std::vector<float>& dweight,
                                  std::vector<float>& dbias) {
            norm_backward(shape, count, data.x.data() + first * shape.size(), data.weight.data(),
                          statistics.data() + first * shape.groups * 2, data.dy.data() + first * shape.size(), nullptr, 0.3F, decay,
                          dweight.data(), dbias.data(), Threads());
        };
        std::vector<float> whole(shape.weights(), 1.5F);
        std::vector<float> whole_bias(shape.weights(), -0.25F);
        auto parts = whole;
        auto parts_bias = whole_bias;
        gradient(0, 3, 0.5F, whole, whole_bias);
        gradient(0, 2, 0.5F, parts, parts_bias);
        gradient(2, 1, 1.0F, parts, parts_bias);
        EXPECT_EQ(parts, whole);
        EXPECT_EQ(parts_bias, whole_bias);
    }
}

TEST(NormOnThreads, BitsDoNotDependOnThreads) {
    const NormShape shape{.pixels = 64, .channels = 132, .groups = 4};
    const std::size_t count = 9;
    const Data data = some_data(shape, count);
    expect_same_for_any_threads([&](const Threads& threads) { return forward(shape, data, threads).y; });
    for (const bool of_weights : {false, true}) {
        expect_same_for_any_threads([&](const Threads& threads) {
            const auto statistics = forward(shape, data, threads).statistics;
            std::vector<float> dx(data.x.size());
            std::vector<float> dweight(shape.weights(), 0.5F);
            std::vector<float> dbias(shape.weights(), 0.5F);
            norm_backward(shape, count, data.x.data(), data.weight.data(), statistics.data(), data.dy.data(), dx.data(), -0.1F, 0.9F,
                          dweight.data(), dbias.data(), threads);
            dweight.insert(dweight.end(), dbias.begin(), dbias.end());
            return of_weights ? dweight : dx;
        });
    }
}

}  // namespace
}  // namespace silosum::kernels

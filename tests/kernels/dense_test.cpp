#include "kernels/dense.hpp"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "kernels/place.hpp"
#include "kernels/reference.hpp"

namespace silosum::kernels {
namespace {

const Threads one_thread(1);

struct Problem {
    DenseShape shape;
    std::size_t batch;
    std::vector<float> x, dy, weights, packed, bias;

    Problem(std::size_t in, std::size_t out, std::size_t rows) : shape{in, out}, batch(rows) {
        x = random_values(batch * in, 1);
        dy = random_values(batch * out, 2);
        weights = random_values(in * out, 3);
        bias = random_values(out, 4);
        packed.resize(shape.packed_size(), not_a_number);
        dense_pack(shape, weights, packed);
    }
    [[nodiscard]] std::string name() const { return fmt::format("in {} out {} batch {}", shape.in, shape.out, batch); }

    [[nodiscard]] std::vector<float> forward(bool relu, const Stream& stream = one_thread) const {
        std::vector<float> y(batch * shape.out, not_a_number);
        run_on(stream, [&](Loan& loan, const auto& on) {
            dense_forward(shape, batch, loan.in(x), loan.in(packed), loan.in(bias), loan.out(y), relu, on);
        });
        return y;
    }
    [[nodiscard]] std::vector<float> backward_input(const std::vector<float>& relu_output, const Stream& stream = one_thread) const {
        std::vector<float> dx(batch * shape.in, not_a_number);
        run_on(stream, [&](Loan& loan, const auto& on) {
            dense_backward_input(shape, batch, loan.in(dy), loan.in(packed), loan.in(relu_output), loan.out(dx), on);
        });
        return dx;
    }
    /// Changes packed and bias.
    void backward_weights(float scale, float decay, float bias_decay, const Stream& stream = one_thread) {
        run_on(stream, [&](Loan& loan, const auto& on) {
            dense_backward_weights(shape, batch, loan.in(x), loan.in(dy), scale, decay, loan.out(packed), bias_decay, loan.out(bias), on);
        });
    }
    [[nodiscard]] std::vector<float> unpacked() const {
        std::vector<float> result(shape.in * shape.out);
        dense_unpack(shape, packed, result);
        return result;
    }
};

/// Every count of rows up to several tiles for a few widths, and widths around the edges of panels for a few batches.
std::vector<Problem> problems() {
    std::vector<Problem> result;
    for (std::size_t batch = 1; batch <= 33; ++batch) result.emplace_back(7, 19, batch);
    for (const std::size_t out : {1, 2, 3, 10, 15, 16, 17, 31, 32, 33, 47, 48, 49, 62, 64, 65, 100}) {
        for (const std::size_t batch : {1, 4, 13}) result.emplace_back(11, out, batch);
    }
    for (std::size_t in = 1; in <= 33; ++in) result.emplace_back(in, 18, 5);
    result.emplace_back(13, 1, 4);
    result.emplace_back(784, 10, 10);
    result.emplace_back(200, 200, 10);
    result.emplace_back(130, 70, 150);  // more rows than one block of copies on the stack
    result.emplace_back(20, 530, 5);    // more outputs than one block of turned weights
    return result;
}

class Dense : public EachPlace {};
INSTANTIATE_TEST_SUITE_P(Each, Dense, testing::ValuesIn(places()), place_name);
class DenseThreads : public EachIsa {};
INSTANTIATE_TEST_SUITE_P(, DenseThreads, testing::ValuesIn(usable_isas()), isa_test_name);

TEST(DensePack, PutsOutputsOfAPanelSideBySideAndZerosBehind) {
    for (const std::size_t out : {1, 16, 37}) {
        const Problem problem(5, out, 1);
        for (std::size_t i = 0; i < problem.packed.size(); ++i) {
            const std::size_t output = i / panel_width / 5 * panel_width + i % panel_width;
            const std::size_t k = i / panel_width % 5;
            EXPECT_EQ(problem.packed[i], output < out ? problem.weights[output * 5 + k] : 0.0F) << i;
        }
    }
}

TEST(DensePack, UnpackIsTheInverse) {
    for (const std::size_t in : {1, 6, 40}) {
        for (const std::size_t out : {1, 16, 37}) {
            const Problem problem(in, out, 1);
            EXPECT_EQ(problem.unpacked(), problem.weights);
        }
    }
}

TEST(DensePack, InputOrderPermutesTheInputs) {
    const DenseShape shape{24, 21};
    // A flattened image of 4 channels and 2 x 3 pixels: the layer takes (pixel, channel), the weights state (channel, pixel).
    std::vector<std::uint32_t> order;
    for (std::uint32_t pixel = 0; pixel < 6; ++pixel) {
        for (std::uint32_t channel = 0; channel < 4; ++channel) order.push_back(channel * 6 + pixel);
    }
    const std::vector<float> weights = random_values(shape.in * shape.out, 5);
    std::vector<float> packed(shape.packed_size()), back(weights.size());
    dense_pack(shape, weights, packed, order);
    dense_unpack(shape, packed, back, order);
    EXPECT_EQ(back, weights);

    const std::vector<float> x = random_values(shape.in, 6), bias(shape.out);
    std::vector<float> permuted(shape.in), y(shape.out), y_permuted(shape.out), plain(shape.packed_size());
    for (std::size_t k = 0; k < shape.in; ++k) permuted[k] = x[order[k]];
    dense_pack(shape, weights, plain);
    dense_forward(shape, 1, x.data(), plain.data(), bias.data(), y.data(), false, one_thread);
    dense_forward(shape, 1, permuted.data(), packed.data(), bias.data(), y_permuted.data(), false, one_thread);
    for (std::size_t j = 0; j < shape.out; ++j) EXPECT_NEAR(y[j], y_permuted[j], 24 * std::ldexp(24.0, -24));
}

TEST_P(Dense, ForwardEqualsTheSumInDouble) {
    for (const Problem& problem : problems()) {
        const auto [in, out] = problem.shape;
        const std::vector<float> y = problem.forward(false, stream()), with_relu = problem.forward(true, stream());
        for (std::size_t i = 0; i < y.size(); ++i) {
            Sum sum;
            sum.add(problem.bias[i % out]);
            for (std::size_t k = 0; k < in; ++k) {
                sum.add(static_cast<double>(problem.x[i / out * in + k]) * problem.weights[i % out * in + k]);
            }
            ASSERT_NO_FATAL_FAILURE(expect_sum(sum, y[i], problem.name()));
            ASSERT_EQ(with_relu[i], std::max(0.0F, y[i])) << problem.name();
        }
    }
}

TEST_P(Dense, AResultDoesNotDependOnTheRestOfTheBatch) {
    const Problem problem(50, 37, 33);
    const std::vector<float> y = problem.forward(true, stream()), dx = problem.backward_input({}, stream());
    for (std::size_t rows = 1; rows < problem.batch; ++rows) {
        Problem part = problem;
        part.batch = rows;
        part.x.assign(problem.x.end() - static_cast<std::ptrdiff_t>(rows * 50), problem.x.end());
        part.dy.assign(problem.dy.end() - static_cast<std::ptrdiff_t>(rows * 37), problem.dy.end());
        const std::vector<float> part_y = part.forward(true, stream()), part_dx = part.backward_input({}, stream());
        ASSERT_TRUE(std::equal(part_y.rbegin(), part_y.rend(), y.rbegin())) << rows;
        ASSERT_TRUE(std::equal(part_dx.rbegin(), part_dx.rend(), dx.rbegin())) << rows;
    }
}

TEST_P(Dense, ReluLetsNaNPass) {
    Problem problem(3, 20, 2);
    problem.x[4] = not_a_number;
    const std::vector<float> y = problem.forward(true, stream());
    for (std::size_t j = 0; j < 20; ++j) {
        EXPECT_FALSE(std::isnan(y[j]));
        EXPECT_TRUE(std::isnan(y[20 + j]));
    }
}

TEST_P(Dense, BackwardInputEqualsTheSumInDouble) {
    for (const Problem& problem : problems()) {
        const auto [in, out] = problem.shape;
        std::vector<float> relu_output = random_values(problem.batch * in, 7);
        relu_output[0] = 0;
        const std::vector<float> dx = problem.backward_input({}, stream()), masked = problem.backward_input(relu_output, stream());
        for (std::size_t i = 0; i < dx.size(); ++i) {
            Sum sum;
            for (std::size_t j = 0; j < out; ++j) {
                sum.add(static_cast<double>(problem.dy[i / in * out + j]) * problem.weights[j * in + i % in]);
            }
            ASSERT_NO_FATAL_FAILURE(expect_sum(sum, dx[i], problem.name()));
            ASSERT_EQ(masked[i], relu_output[i] > 0 ? dx[i] : 0.0F) << problem.name();
        }
    }
}

/// The sums that w and b must have after a call with the given factors.
void expect_weights(const Problem& before, const Problem& after, float scale, float decay, float bias_decay) {
    const auto [in, out] = before.shape;
    const std::vector<float> weights = after.unpacked();
    for (std::size_t j = 0; j < out; ++j) {
        for (std::size_t k = 0; k < in; ++k) {
            Sum sum;
            if (decay != 0) sum.add(static_cast<double>(decay) * before.weights[j * in + k]);
            for (std::size_t row = 0; row < before.batch; ++row) {
                sum.add(static_cast<double>(scale) * before.x[row * in + k] * before.dy[row * out + j]);
            }
            ASSERT_NO_FATAL_FAILURE(expect_sum(sum, weights[j * in + k], before.name()));
        }
        Sum sum;
        if (bias_decay != 0) sum.add(static_cast<double>(bias_decay) * before.bias[j]);
        for (std::size_t row = 0; row < before.batch; ++row) sum.add(static_cast<double>(scale) * before.dy[row * out + j]);
        ASSERT_NO_FATAL_FAILURE(expect_sum(sum, after.bias[j], before.name()));
    }
    for (std::size_t i = 0; i < after.packed.size(); ++i) {
        const std::size_t output = i / panel_width / in * panel_width + i % panel_width;
        ASSERT_TRUE(output < out || after.packed[i] == 0) << "padding of " << before.name();
    }
}

TEST_P(Dense, WeightGradientIgnoresOldContents) {
    for (Problem& problem : problems()) {
        const Problem before = problem;
        std::fill(problem.packed.begin(), problem.packed.end(), not_a_number);
        std::fill(problem.bias.begin(), problem.bias.end(), not_a_number);
        problem.backward_weights(1, 0, 0, stream());
        ASSERT_NO_FATAL_FAILURE(expect_weights(before, problem, 1, 0, 0));
    }
}

TEST_P(Dense, FusedStepEqualsTheSumInDouble) {
    for (Problem& problem : problems()) {
        const Problem before = problem;
        problem.backward_weights(-0.125F, 0.99F, 1, stream());
        ASSERT_NO_FATAL_FAILURE(expect_weights(before, problem, -0.125F, 0.99F, 1));
    }
}

TEST_P(Dense, AnEmptyBatchOnlyDecays) {
    Problem problem(5, 20, 0);
    const Problem before = problem;
    problem.backward_weights(-1, 0.5F, 0.25F, stream());
    for (std::size_t i = 0; i < before.packed.size(); ++i) EXPECT_EQ(problem.packed[i], 0.5F * before.packed[i]);
    for (std::size_t j = 0; j < 20; ++j) EXPECT_EQ(problem.bias[j], 0.25F * before.bias[j]);
}

TEST_P(DenseThreads, ThreadsDoNotChangeTheBits) {
    // Large enough that each kernel is really cut; few rows and many rows are cut along different sides.
    for (Problem& problem : std::vector<Problem>{{784, 401, 10}, {301, 130, 210}}) {
        const std::vector<float> y = problem.forward(true), dx = problem.backward_input(problem.x);
        Problem stepped = problem;
        stepped.backward_weights(-0.01F, 1, 1);
        for (const std::size_t count : {2, 3}) {
            const Threads threads(count);
            Problem other = problem;
            EXPECT_EQ(other.forward(true, threads), y);
            EXPECT_EQ(other.backward_input(problem.x, threads), dx);
            other.backward_weights(-0.01F, 1, 1, threads);
            EXPECT_EQ(other.packed, stepped.packed);
            EXPECT_EQ(other.bias, stepped.bias);
        }
    }
}

}  // namespace
}  // namespace silosum::kernels

#include "kernels/conv2d.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "kernels/place.hpp"
#include "kernels/reference.hpp"

namespace silosum::kernels {
namespace {

const Threads one_thread(1);

struct Problem {
    ConvShape shape;
    std::size_t samples;
    std::vector<float> x, padded, dy, weights, packed, bias;

    Problem(const ConvShape& s, std::size_t n) : shape(s), samples(n) {
        x = random_values(samples * shape.in_size(), 1);
        dy = random_values(samples * shape.out_size(), 2);
        weights = random_values(shape.out_channels * shape.taps(), 3);
        bias = random_values(shape.out_channels, 4);
        padded.resize(samples * shape.padded_size(), not_a_number);
        packed.resize(shape.packed_size(), not_a_number);
        conv2d_pad(shape, samples, x.data(), padded.data(), one_thread);
        conv2d_pack(shape, weights, packed);
    }
    [[nodiscard]] std::string name() const {
        return fmt::format("{} -> {} channels, {}x{} kernel on {}x{}, stride {}, padding {}, {} samples", shape.in_channels,
                           shape.out_channels, shape.kernel_height, shape.kernel_width, shape.height, shape.width, shape.stride,
                           shape.padding, samples);
    }

    [[nodiscard]] std::vector<float> forward(bool relu, const Stream& stream = one_thread) const {
        std::vector<float> y(samples * shape.out_size(), not_a_number);
        run_on(stream, [&](Loan& loan, const auto& on) {
            conv2d_forward(shape, samples, loan.in(padded), loan.in(packed), loan.in(bias), loan.out(y), relu, on);
        });
        return y;
    }
    [[nodiscard]] std::vector<float> backward_input(const std::vector<float>& relu_output, const Stream& stream = one_thread) const {
        std::vector<float> flipped(shape.flipped_size(), not_a_number), dx(x.size(), not_a_number);
        std::vector<float> scratch(stream.threads().count() * shape.scratch_size(), not_a_number);
        run_on(stream, [&](Loan& loan, const auto& on) {
            float* const turned = loan.out(flipped);
            conv2d_flip(shape, loan.in(packed), turned, on);
            conv2d_backward_input(shape, samples, loan.in(dy), turned, loan.in(relu_output), loan.out(scratch), loan.out(dx), on);
        });
        return dx;
    }
    /// Changes packed and bias.
    void backward_weights(float scale, float decay, float bias_decay, const Stream& stream = one_thread) {
        run_on(stream, [&](Loan& loan, const auto& on) {
            conv2d_backward_weights(shape, samples, loan.in(padded), loan.in(dy), scale, decay, loan.out(packed), bias_decay,
                                    loan.out(bias), on);
        });
    }
    [[nodiscard]] std::vector<float> unpacked() const {
        std::vector<float> result(weights.size());
        conv2d_unpack(shape, packed, result);
        return result;
    }
};

/// The definition: y, dx and dw are sums over the same triples (output, weight, input), which this enumerates.
/// body(index in y, index in the weights, index in x)
template <class Body>
void for_each_product(const Problem& problem, const Body& body) {
    const ConvShape& s = problem.shape;
    const auto inside = [](std::size_t at, std::size_t padding, std::size_t size) { return at >= padding && at - padding < size; };
    std::size_t y = 0;
    for (std::size_t sample = 0; sample < problem.samples; ++sample) {
        for (std::size_t row = 0; row < s.out_height(); ++row) {
            for (std::size_t column = 0; column < s.out_width(); ++column) {
                for (std::size_t out = 0; out < s.out_channels; ++out, ++y) {
                    for (std::size_t c = 0; c < s.in_channels; ++c) {
                        for (std::size_t ky = 0; ky < s.kernel_height; ++ky) {
                            for (std::size_t kx = 0; kx < s.kernel_width; ++kx) {
                                const std::size_t in_row = row * s.stride + ky;
                                const std::size_t in_column = column * s.stride + kx;
                                if (!inside(in_row, s.padding, s.height) || !inside(in_column, s.padding, s.width)) continue;
                                const std::size_t pixel = (sample * s.height + in_row - s.padding) * s.width + in_column - s.padding;
                                body(y, ((out * s.in_channels + c) * s.kernel_height + ky) * s.kernel_width + kx,
                                     pixel * s.in_channels + c);
                            }
                        }
                    }
                }
            }
        }
    }
}

std::vector<Problem> problems() {
    std::vector<Problem> result;
    const auto add = [&](std::size_t in, std::size_t out, std::size_t height, std::size_t width, std::size_t kernel, std::size_t stride,
                         std::size_t padding, std::size_t samples) {
        result.emplace_back(ConvShape{in, height, width, out, kernel, kernel, stride, padding}, samples);
    };
    for (std::size_t kernel = 1; kernel <= 5; ++kernel) {
        for (std::size_t stride = 1; stride <= 3; ++stride) {
            for (std::size_t padding = 0; padding < kernel; ++padding) add(2, 18, 7, 6, kernel, stride, padding, 2);
        }
    }
    for (const std::size_t in : {1, 3, 15, 16, 17, 40}) {
        for (const std::size_t out : {1, 6, 16, 33, 40}) add(in, out, 5, 6, 3, 1, 1, 1);
    }
    for (std::size_t width = 3; width <= 31; width += 2) add(3, 5, 3, width, 3, 1, 1, 2);
    add(1, 32, 28, 28, 5, 1, 2, 1);
    add(1, 6, 14, 14, 5, 1, 0, 3);
    add(6, 16, 12, 12, 5, 1, 0, 2);
    result.emplace_back(ConvShape{3, 9, 8, 20, 2, 4, 2, 1}, 2);  // kernels need not be square
    result.emplace_back(ConvShape{3, 8, 9, 20, 5, 1, 1, 0}, 2);
    return result;
}

class Conv2d : public EachPlace {};
INSTANTIATE_TEST_SUITE_P(Each, Conv2d, testing::ValuesIn(places()), place_name);
class Conv2dThreads : public EachIsa {};
INSTANTIATE_TEST_SUITE_P(, Conv2dThreads, testing::ValuesIn(usable_isas()), isa_test_name);

TEST(Conv2dPack, UnpackIsTheInverseAndPaddingIsZero) {
    for (const Problem& problem : problems()) {
        EXPECT_EQ(problem.unpacked(), problem.weights) << problem.name();
        const auto zeros = std::count(problem.packed.begin(), problem.packed.end(), 0.0F);
        EXPECT_EQ(static_cast<std::size_t>(zeros), problem.packed.size() - problem.weights.size()) << problem.name();
    }
}

TEST_P(Conv2d, FlippingTwiceIsTheIdentity) {
    for (const Problem& problem : problems()) {
        ConvShape back = problem.shape;
        std::swap(back.in_channels, back.out_channels);
        std::vector<float> flipped(problem.shape.flipped_size(), not_a_number), twice(problem.packed.size(), not_a_number);
        run([&](Loan& loan, const auto& on) {
            float* const turned = loan.out(flipped);
            conv2d_flip(problem.shape, loan.in(problem.packed), turned, on);
            conv2d_flip(back, turned, loan.out(twice), on);
        });
        EXPECT_EQ(twice, problem.packed) << problem.name();
    }
}

TEST_P(Conv2d, PaddingPutsTheImageIntoABorderOfZeros) {
    for (const std::size_t padding : {0, 1, 2}) {
        const ConvShape shape{3, 4, 5, 1, 4, 4, 1, padding};
        const Problem problem(shape, 2);
        std::vector<float> padded(problem.padded.size(), not_a_number);
        run([&](Loan& loan, const auto& on) { conv2d_pad(shape, 2, loan.in(problem.x), loan.out(padded), on); });
        EXPECT_EQ(padded, problem.padded);
        std::size_t i = 0;
        for (std::size_t sample = 0; sample < 2; ++sample) {
            for (std::size_t row = 0; row < 4 + 2 * padding; ++row) {
                for (std::size_t column = 0; column < 5 + 2 * padding; ++column) {
                    for (std::size_t c = 0; c < 3; ++c, ++i) {
                        const bool inside = row >= padding && row < 4 + padding && column >= padding && column < 5 + padding;
                        EXPECT_EQ(padded[i], inside ? problem.x[((sample * 4 + row - padding) * 5 + column - padding) * 3 + c] : 0.0F);
                    }
                }
            }
        }
    }
}

TEST_P(Conv2d, ForwardEqualsTheSumInDouble) {
    for (const Problem& problem : problems()) {
        std::vector<Sum> sums(problem.dy.size());
        for (std::size_t i = 0; i < sums.size(); ++i) sums[i].add(problem.bias[i % problem.shape.out_channels]);
        for_each_product(problem, [&](std::size_t y, std::size_t w, std::size_t x) {
            sums[y].add(static_cast<double>(problem.weights[w]) * problem.x[x]);
        });
        const std::vector<float> y = problem.forward(false, stream()), with_relu = problem.forward(true, stream());
        for (std::size_t i = 0; i < y.size(); ++i) {
            ASSERT_NO_FATAL_FAILURE(expect_sum(sums[i], y[i], problem.name()));
            ASSERT_EQ(with_relu[i], std::max(0.0F, y[i])) << problem.name();
        }
    }
}

TEST_P(Conv2d, BackwardInputEqualsTheSumInDouble) {
    for (const Problem& problem : problems()) {
        std::vector<Sum> sums(problem.x.size());
        for_each_product(problem, [&](std::size_t y, std::size_t w, std::size_t x) {
            sums[x].add(static_cast<double>(problem.weights[w]) * problem.dy[y]);
        });
        const std::vector<float> relu_output = random_values(problem.x.size(), 7);
        const std::vector<float> dx = problem.backward_input({}, stream()), masked = problem.backward_input(relu_output, stream());
        for (std::size_t i = 0; i < dx.size(); ++i) {
            ASSERT_NO_FATAL_FAILURE(expect_sum(sums[i], dx[i], problem.name()));
            ASSERT_EQ(masked[i], relu_output[i] > 0 ? dx[i] : 0.0F) << problem.name();
        }
    }
}

/// The sums that weights and bias must have after a call with the given factors.
void expect_weights(const Problem& before, const Problem& after, float scale, float decay, float bias_decay) {
    std::vector<Sum> sums(before.weights.size()), bias_sums(before.bias.size());
    for (std::size_t i = 0; i < sums.size() && decay != 0; ++i) sums[i].add(static_cast<double>(decay) * before.weights[i]);
    for (std::size_t i = 0; i < bias_sums.size() && bias_decay != 0; ++i)
        bias_sums[i].add(static_cast<double>(bias_decay) * before.bias[i]);
    for_each_product(
        before, [&](std::size_t y, std::size_t w, std::size_t x) { sums[w].add(static_cast<double>(scale) * before.dy[y] * before.x[x]); });
    for (std::size_t y = 0; y < before.dy.size(); ++y) bias_sums[y % bias_sums.size()].add(static_cast<double>(scale) * before.dy[y]);
    const std::vector<float> weights = after.unpacked();
    for (std::size_t i = 0; i < sums.size(); ++i) {
        sums[i].terms += before.samples;  // each image's sum is added by itself
        ASSERT_NO_FATAL_FAILURE(expect_sum(sums[i], weights[i], before.name()));
    }
    for (std::size_t i = 0; i < bias_sums.size(); ++i) {
        bias_sums[i].terms += before.samples;
        ASSERT_NO_FATAL_FAILURE(expect_sum(bias_sums[i], after.bias[i], before.name()));
    }
    for (std::size_t i = 0; i < after.packed.size(); ++i) {
        const std::size_t output = i / panel_width / before.shape.taps() * panel_width + i % panel_width;
        ASSERT_TRUE(output < before.shape.out_channels || after.packed[i] == 0) << "padding of " << before.name();
    }
}

TEST_P(Conv2d, WeightGradientIgnoresOldContents) {
    for (Problem& problem : problems()) {
        const Problem before = problem;
        std::fill(problem.packed.begin(), problem.packed.end(), not_a_number);
        std::fill(problem.bias.begin(), problem.bias.end(), not_a_number);
        problem.backward_weights(1, 0, 0, stream());
        ASSERT_NO_FATAL_FAILURE(expect_weights(before, problem, 1, 0, 0));
    }
}

TEST_P(Conv2d, FusedStepEqualsTheSumInDouble) {
    for (Problem& problem : problems()) {
        const Problem before = problem;
        problem.backward_weights(-0.125F, 0.99F, 1, stream());
        ASSERT_NO_FATAL_FAILURE(expect_weights(before, problem, -0.125F, 0.99F, 1));
    }
}

TEST_P(Conv2dThreads, ABatchInPartsGivesTheSameWeightBits) {
    const Problem whole({3, 9, 9, 21, 3, 3, 1, 1}, 7);
    Problem at_once = whole;
    at_once.backward_weights(0.5F, 0, 0);
    for (const std::size_t length : {1, 2, 3}) {
        Problem parts = whole;
        for (std::size_t begin = 0; begin < whole.samples; begin += length) {
            const std::size_t count = std::min(length, whole.samples - begin);
            const float decay = begin == 0 ? 0.0F : 1.0F;
            conv2d_backward_weights(whole.shape, count, whole.padded.data() + begin * whole.shape.padded_size(),
                                    whole.dy.data() + begin * whole.shape.out_size(), 0.5F, decay, parts.packed.data(), decay,
                                    parts.bias.data(), one_thread);
        }
        EXPECT_EQ(parts.packed, at_once.packed) << length;
        EXPECT_EQ(parts.bias, at_once.bias) << length;
    }
}

TEST_P(Conv2d, AnEmptyBatchOnlyDecays) {
    Problem problem({3, 5, 5, 20, 3, 3, 1, 1}, 0);
    const Problem before = problem;
    problem.backward_weights(-1, 0.5F, 0.25F, stream());
    for (std::size_t i = 0; i < before.packed.size(); ++i) EXPECT_EQ(problem.packed[i], 0.5F * before.packed[i]);
    for (std::size_t j = 0; j < 20; ++j) EXPECT_EQ(problem.bias[j], 0.25F * before.bias[j]);
}

TEST_P(Conv2d, ReluLetsNaNPass) {
    Problem problem({2, 6, 6, 5, 3, 3, 1, 0}, 1);
    problem.padded[0] = not_a_number;
    const std::vector<float> y = problem.forward(true, stream());
    for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i < 5) << i;
}

TEST_P(Conv2dThreads, ThreadsDoNotChangeTheBits) {
    // Large enough that each kernel is really cut; with five threads one sample each remains.
    const Problem problem({32, 14, 14, 40, 5, 5, 1, 2}, 5);
    const std::vector<float> y = problem.forward(true), dx = problem.backward_input(problem.x);
    Problem stepped = problem;
    stepped.backward_weights(-0.01F, 1, 1);
    for (const std::size_t count : {2, 3, 7}) {
        const Threads threads(count);
        Problem other = problem;
        EXPECT_EQ(other.forward(true, threads), y);
        EXPECT_EQ(other.backward_input(problem.x, threads), dx);
        other.backward_weights(-0.01F, 1, 1, threads);
        EXPECT_EQ(other.packed, stepped.packed);
        EXPECT_EQ(other.bias, stepped.bias);
        std::vector<float> padded(problem.padded.size(), not_a_number);
        conv2d_pad(problem.shape, problem.samples, problem.x.data(), padded.data(), threads);
        EXPECT_EQ(padded, problem.padded);
    }
}

}  // namespace
}  // namespace silosum::kernels

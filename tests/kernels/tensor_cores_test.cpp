// Products on tensor cores: factors are rounded to TF32, 11 leading bits, and nothing else is lost but roundings of float32 sums.
#include <bit>
#include <cmath>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "device/devices.hpp"
#include "kernels/conv2d.hpp"
#include "kernels/dense.hpp"
#include "kernels/place.hpp"
#include "kernels/reference.hpp"

namespace silosum::kernels {
namespace {

using Floats = std::vector<float>;

class TensorCores : public EachPlace {
protected:
    void SetUp() override {
        EachPlace::SetUp();
        if (IsSkipped()) return;
        if (cuda::list_devices().front().major < 8) GTEST_SKIP() << "this GPU has no tensor cores for TF32: 8.0 or newer is needed";
        CudaStream stream_of_gpu = stream().cuda();
        stream_of_gpu.use_tf32();
        tf32_.emplace(stream_of_gpu, threads_);
    }
    [[nodiscard]] const Stream& tf32() const { return *tf32_; }

private:
    std::optional<Stream> tf32_;
};
INSTANTIATE_TEST_SUITE_P(Each, TensorCores, testing::ValuesIn(places()), place_name);

// Nearest with 10 bits behind the point, by doubles.
Floats in_tf32(Floats values) {
    for (float& value : values) {
        if (value == 0.0F) continue;
        const int exponent = std::ilogb(value);
        value = static_cast<float>(std::ldexp(std::round(std::ldexp(static_cast<double>(value), 10 - exponent)), exponent - 10));
    }
    return values;
}
Floats magnitudes(Floats values) {
    for (float& value : values) value = std::fabs(value);
    return values;
}

/// multiply(left, right, stream) gives sums of `depth` products each. Of factors in TF32 products are exact in float32's sums but for the
/// roundings of the sums: one for each of depth + 2 additions, up or down or cut off, by 2^-23 of what is added up so far. The factors
/// themselves are off by 2^-11 each.
template <class Multiply>
void expect_tf32(const Stream& tf32, std::size_t depth, const Floats& left, const Floats& right, const Multiply& multiply) {
    const Threads processor;
    const Floats product = multiply(left, right, tf32), again = multiply(left, right, tf32);
    const Floats rounded = multiply(in_tf32(left), in_tf32(right), Stream(processor)), exact = multiply(left, right, Stream(processor));
    const Floats size = multiply(magnitudes(left), magnitudes(right), Stream(processor));
    const double rounding = static_cast<double>(depth + 2) * 0x1p-22;  // 2^-23 here, and on the processor
    for (std::size_t i = 0; i < product.size(); ++i) {
        const double whole = 1.001 * std::fabs(static_cast<double>(size[i]));
        ASSERT_NEAR(product[i], rounded[i], whole * rounding) << i;
        ASSERT_NEAR(product[i], exact[i], whole * (0x1p-10 + 0x1p-22 + rounding)) << i;
        ASSERT_EQ(std::bit_cast<std::uint32_t>(product[i]), std::bit_cast<std::uint32_t>(again[i])) << i;
    }
}

TEST_P(TensorCores, RunDenseLayers) {
    for (const auto& [in, out, batch] :
         {std::array{1, 1, 1}, std::array{8, 16, 3}, std::array{19, 33, 65}, std::array{70, 7, 17}, std::array{130, 80, 40}}) {
        SCOPED_TRACE(fmt::format("in {} out {} batch {}", in, out, batch));
        const DenseShape shape{static_cast<std::size_t>(in), static_cast<std::size_t>(out)};
        const auto samples = static_cast<std::size_t>(batch);
        const Floats x = random_values(samples * shape.in, 1), dy = random_values(samples * shape.out, 2), bias(shape.out, 0.0F);
        Floats packed(shape.packed_size());
        dense_pack(shape, random_values(shape.in * shape.out, 3), packed);
        expect_tf32(tf32(), shape.in, x, packed, [&](const Floats& a, const Floats& b, const Stream& stream) {
            Floats y(samples * shape.out);
            run_on(stream, [&](Loan& loan, const auto& on) {
                dense_forward(shape, samples, loan.in(a), loan.in(b), loan.in(bias), loan.out(y), false, on);
            });
            return y;
        });
        expect_tf32(tf32(), shape.out, dy, packed, [&](const Floats& a, const Floats& b, const Stream& stream) {
            Floats dx(samples * shape.in);
            run_on(stream, [&](Loan& loan, const auto& on) {
                dense_backward_input(shape, samples, loan.in(a), loan.in(b), nullptr, loan.out(dx), on);
            });
            return dx;
        });
        expect_tf32(tf32(), samples, x, dy, [&](const Floats& a, const Floats& b, const Stream& stream) {
            Floats gradient(shape.packed_size()), of_bias(shape.out);
            run_on(stream, [&](Loan& loan, const auto& on) {
                dense_backward_weights(shape, samples, loan.in(a), loan.in(b), 1, 0, loan.out(gradient), 0, loan.out(of_bias), on);
            });
            return gradient;
        });
    }
}

TEST_P(TensorCores, RunConvolutions) {
    for (const ConvShape& shape :
         {ConvShape{1, 6, 5, 3, 3, 3, 1, 1}, ConvShape{5, 9, 8, 20, 3, 2, 2, 0}, ConvShape{3, 10, 10, 18, 5, 5, 1, 2}}) {
        for (const std::size_t samples : {1U, 9U}) {  // of the last, parts of the sum are added apart
            SCOPED_TRACE(fmt::format("{} channels, {} samples", shape.in_channels, samples));
            const Floats padded = random_values(samples * shape.padded_size(), 1), dy = random_values(samples * shape.out_size(), 2);
            const Floats bias(shape.out_channels, 0.0F);
            Floats packed(shape.packed_size()), flipped(shape.flipped_size());
            conv2d_pack(shape, random_values(shape.taps() * shape.out_channels, 3), packed);
            conv2d_flip(shape, packed.data(), flipped.data(), Threads());
            expect_tf32(tf32(), shape.taps(), padded, packed, [&](const Floats& a, const Floats& b, const Stream& stream) {
                Floats y(samples * shape.out_size());
                run_on(stream, [&](Loan& loan, const auto& on) {
                    conv2d_forward(shape, samples, loan.in(a), loan.in(b), loan.in(bias), loan.out(y), false, on);
                });
                return y;
            });
            const std::size_t depth = shape.kernel_height * shape.kernel_width * shape.out_channels;
            expect_tf32(tf32(), depth, dy, flipped, [&](const Floats& a, const Floats& b, const Stream& stream) {
                Floats dx(samples * shape.in_size()), scratch(shape.scratch_size());
                run_on(stream, [&](Loan& loan, const auto& on) {
                    conv2d_backward_input(shape, samples, loan.in(a), loan.in(b), nullptr, loan.out(scratch), loan.out(dx), on);
                });
                return dx;
            });
            expect_tf32(tf32(), samples * shape.out_height() * shape.out_width(), padded, dy,
                        [&](const Floats& a, const Floats& b, const Stream& stream) {
                            Floats gradient(shape.packed_size()), of_bias(shape.out_channels);
                            run_on(stream, [&](Loan& loan, const auto& on) {
                                conv2d_backward_weights(shape, samples, loan.in(a), loan.in(b), 1, 0, loan.out(gradient), 0,
                                                        loan.out(of_bias), on);
                            });
                            return gradient;
                        });
        }
    }
}

TEST_P(TensorCores, LetNaNAndInfinityPass) {
    const DenseShape shape{8, 8};
    const Floats bias(8, 0.0F);
    Floats packed(shape.packed_size());
    dense_pack(shape, Floats(64, 1.0F), packed);
    for (const float odd : {not_a_number, INFINITY}) {
        Floats x(2 * 8, 1.0F), y(2 * 8);
        x[3] = odd;
        run_on(tf32(), [&](Loan& loan, const auto& on) {
            dense_forward(shape, 2, loan.in(x), loan.in(packed), loan.in(bias), loan.out(y), false, on);
        });
        for (std::size_t i = 0; i < 8; ++i) {
            EXPECT_EQ(std::isnan(y[i]), std::isnan(odd));
            EXPECT_FALSE(std::isfinite(y[i]));
            EXPECT_EQ(y[8 + i], 8.0F);
        }
    }
}

}  // namespace
}  // namespace silosum::kernels

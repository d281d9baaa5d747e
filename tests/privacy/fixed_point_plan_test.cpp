// The plan of the encoding: as fine as the ring allows, never out of it.
#include "privacy/fixed_point.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace silosum {
namespace {

// silos * 2^bits <= 2^(B-1) - 1
bool fits(unsigned ring_bits, std::size_t silos, int bits) {
    return static_cast<long double>(silos) * std::ldexp(1.0L, bits) <= std::ldexp(1.0L, static_cast<int>(ring_bits) - 1) - 1;
}

TEST(EncodingPlan, ScaleIsTheLargestThatCannotLeaveTheRing) {
    for (const unsigned ring_bits : {32U, 64U}) {
        for (const std::size_t silos : {1, 2, 3, 4, 7, 8, 31, 32, 33, 64, 100, 1000, 1023, 1024, 1025, 100000}) {
            for (const double range : {0x1p-20, 0.25, 1.0, 4.0, 0x1p20}) {
                const EncodingPlan plan = plan_encoding(ring_bits, silos, range, 1024);
                const int bits = plan.scale_bits + std::ilogb(range);
                EXPECT_TRUE(fits(ring_bits, silos, bits)) << silos << " silos";
                EXPECT_LE(bits, 52);
                EXPECT_TRUE(bits == 52 || !fits(ring_bits, silos, bits + 1)) << silos << " silos";
                EXPECT_EQ(plan.range(), range);
            }
        }
    }
}

// Table of the specification for C = 1 and 32 bits.
TEST(EncodingPlan, AgreesWithTheTableOfThirtyTwoBits) {
    const std::size_t silos[] = {2, 3, 4, 8, 16, 32, 64, 100, 128, 256, 512, 1000, 1024};
    const int scale[] = {29, 29, 28, 27, 26, 25, 24, 24, 23, 22, 21, 21, 20};
    for (std::size_t i = 0; i < std::size(silos); ++i) EXPECT_EQ(plan_encoding(32, silos[i], 1, 1).scale_bits, scale[i]) << silos[i];
}

TEST(EncodingPlan, FactorAndUnitAreInverseForTheLargestWeight) {
    const EncodingPlan plan = plan_encoding(32, 10, 0.5, 4096);
    EXPECT_EQ(plan.factor(4096), std::ldexp(1.0, plan.scale_bits));
    EXPECT_EQ(plan.factor(4096) * plan.unit(), 4096.0);
    EXPECT_EQ(plan.factor(3) * plan.unit(), 3.0);
    EXPECT_EQ(plan.max_weight(), 4096.0);
}

TEST(EncodingPlan, ErrorBoundIsHalfAUnitOfEverySilo) {
    const EncodingPlan plan = plan_encoding(32, 8, 1, 1024);
    EXPECT_EQ(plan.resolution(2048), plan.unit() / 2048);
    EXPECT_EQ(plan.error_bound(2048), 4 * plan.resolution(2048));
}

TEST(EncodingPlan, RefusesWhatLeavesTooFewBits) {
    EXPECT_THROW((void)plan_encoding(32, std::size_t{1} << 23, 1, 1), UsageError);
    EXPECT_NO_THROW((void)plan_encoding(32, (std::size_t{1} << 23) - 1, 1, 1));
    EXPECT_NO_THROW((void)plan_encoding(64, std::size_t{1} << 23, 1, 1));
    EXPECT_THROW((void)plan_encoding(16, 2, 1, 1), UsageError);
    EXPECT_THROW((void)plan_encoding(32, 2, 3, 1), UsageError);
    EXPECT_THROW((void)plan_encoding(32, 2, 1, 600), UsageError);
}

TEST(PowerOfTwo, IsTheSmallestThatIsNotBelow) {
    for (const double value : {1e-30, 0.3, 0.5, 0.50001, 1.0, 1.5, 2.0, 1000.0, 1e30}) {
        const double power = power_of_two_from(value);
        EXPECT_TRUE(is_power_of_two(power));
        EXPECT_GE(power, value);
        EXPECT_LT(power / 2, value);
    }
    for (const double value : {0.0, -2.0, 3.0, HUGE_VAL, std::nan("")}) EXPECT_FALSE(is_power_of_two(value)) << value;
}

}  // namespace
}  // namespace silosum

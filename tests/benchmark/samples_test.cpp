#include "benchmark/samples.hpp"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace silosum {
namespace {

TEST(Samples, QuantilesAreValuesThatWereMeasured) {
    const std::vector<double> values{5, 1, 4, 2, 3};
    EXPECT_EQ(quantile(values, 1e-9), 1);
    EXPECT_EQ(quantile(values, 0.5), 3);
    EXPECT_EQ(quantile(values, 0.6), 3);
    EXPECT_EQ(quantile(values, 0.61), 4);
    EXPECT_EQ(quantile(values, 1), 5);
    EXPECT_THROW((void)quantile({}, 0.5), RuntimeError);
    EXPECT_THROW((void)quantile(values, 0), RuntimeError);
}

TEST(Samples, FewValuesDoNotTellTheirMedian) {
    EXPECT_TRUE(std::isinf(uncertainty_of_median({1, 1, 1, 1, 1})));
    EXPECT_EQ(uncertainty_of_median({1, 1, 1, 1, 1, 1}), 0);
}

TEST(Samples, OneOutlierDoesNotSpoilTheMedian) {
    EXPECT_EQ(uncertainty_of_median({1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 90}), 0);
}

// In 19 of 20 series the interval should hold the true median; over 2000 series the share is known to some 1.5 %.
TEST(Samples, TheIntervalHoldsTheMedianAsOftenAsItSays) {
    std::mt19937 dice(7);
    std::lognormal_distribution<double> times(0, 0.1);  // of median 1
    for (const int n : {10, 30}) {
        int held = 0;
        for (int series = 0; series < 2000; ++series) {
            std::vector<double> values;
            for (int i = 0; i < n; ++i) values.push_back(times(dice));
            const double median = quantile(values, 0.5);
            held += std::abs(median - 1) <= 2 * uncertainty_of_median(values) * median ? 1 : 0;  // wherever it lies in the interval
        }
        EXPECT_GT(held, 2000 * 0.93) << n;
    }
}

}  // namespace
}  // namespace silosum

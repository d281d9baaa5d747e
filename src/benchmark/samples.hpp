// Times of repetitions, and when there are enough of them.
#pragma once

#include <cstddef>
#include <vector>

namespace silosum {

/// The smallest value that this share of all values does not pass; share in (0, 1], values not empty.
[[nodiscard]] double quantile(std::vector<double> values, double share);

/// How far the median may be off, as a share of it: half the width of its 95 % interval, between the order statistics of rank
/// n / 2 -+ 0.98 sqrt(n) (Conover, Practical Nonparametric Statistics, 3.2). Infinite for fewer than six values.
[[nodiscard]] double uncertainty_of_median(std::vector<double> values);

}  // namespace silosum

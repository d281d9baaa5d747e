// Least squares where nothing may be negative: rates are times, and no work gives time back.
#pragma once

#include <cstddef>
#include <vector>

namespace silosum {

struct NonNegativeFit {
    std::vector<double> values;  // x >= 0 for which |rows x - wanted| is least; 0 where a column is all zero, or others explain it
    std::vector<std::vector<double>> covariance;  // of x, of independent errors alike for all rows; 0 for values at their bound
};

/// rows: (rows, columns), all of one length. The active-set method of Lawson and Hanson (Solving Least Squares Problems, 1974, chapter 23)
/// on the normal equations of scaled columns. Deterministic.
[[nodiscard]] NonNegativeFit fit_non_negative(const std::vector<std::vector<double>>& rows, const std::vector<double>& wanted);

}  // namespace silosum

#include "benchmark/samples.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.hpp"

namespace silosum {

double quantile(std::vector<double> values, double share) {
    require<RuntimeError>(!values.empty() && share > 0 && share <= 1, "no quantile {} of {} values", share, values.size());
    std::sort(values.begin(), values.end());
    const double place = std::ceil(share * static_cast<double>(values.size()));
    return values[static_cast<std::size_t>(std::max(place, 1.0)) - 1];
}

double uncertainty_of_median(std::vector<double> values) {
    constexpr std::size_t least = 6;  // fewer have no two order statistics so far apart
    if (values.size() < least) return std::numeric_limits<double>::infinity();
    std::sort(values.begin(), values.end());
    const auto n = static_cast<double>(values.size());
    const double spread = 0.98 * std::sqrt(n);
    const auto low = static_cast<std::size_t>(std::max(0.0, std::floor(n / 2 - spread)));
    const auto high = std::min(values.size() - 1, static_cast<std::size_t>(std::ceil(n / 2 + spread)));
    return (values[high] - values[low]) / (2 * quantile(values, 0.5));
}

}  // namespace silosum

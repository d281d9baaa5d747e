#include "observe/axis.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include <fmt/format.h>

namespace silosum::plot {

namespace {

constexpr std::array prefixes{"p", "n", "µ", "m", "", "k", "M", "G", "T", "P"};
constexpr int no_prefix = 4;

// Index of the prefix with which the value lies between 1 and 1000.
int prefix_of(double value) {
    if (value == 0) return no_prefix;
    const int thousands = static_cast<int>(std::floor(std::log10(std::abs(value)) / 3 + 1e-9));
    return std::clamp(no_prefix + thousands, 0, static_cast<int>(prefixes.size()) - 1);
}

std::string with_prefix(double value, int decimals, int prefix, std::string_view unit) {
    const double shown = value / std::pow(1000.0, prefix - no_prefix);
    const std::string suffix = fmt::format("{}{}", prefixes[static_cast<std::size_t>(prefix)], unit);
    return fmt::format("{:.{}f}{}{}", shown, decimals, suffix.empty() ? "" : " ", suffix);
}

// Numbers of this size are read more easily without a prefix or an exponent.
bool is_plain(double largest, std::string_view unit) {
    return unit.empty() && largest < 1e5;
}

// One prefix and one number of decimals for all marks, so that they can be compared at a glance.
std::string linear_label(double value, double step, double largest, std::string_view unit) {
    if (value == 0) return "0";
    if (largest < 1e-12 || largest >= 1e18 || (unit.empty() && largest < 1e-3)) return fmt::format("{:.3g}", value);
    const int prefix = is_plain(largest, unit) ? no_prefix : prefix_of(largest);
    const double shown_step = step / std::pow(1000.0, prefix - no_prefix);
    return with_prefix(value, std::max(0, static_cast<int>(std::ceil(-std::log10(shown_step) - 1e-9))), prefix, unit);
}

// 1, 2 or 5 times a power of ten, so that about so many steps fit.
double round_step(double range, int about) {
    const double least = range / about;
    const double power = std::pow(10.0, std::floor(std::log10(least)));
    for (const double factor : {1.0, 2.0, 5.0}) {
        if (factor * power >= least * (1 - 1e-9)) return factor * power;
    }
    return 10 * power;
}

}  // namespace

std::string number_text(double value, std::string_view unit) {
    const double size = std::abs(value);
    if (value == 0 || is_plain(size, unit)) return fmt::format("{:.4g}{}{}", value, unit.empty() ? "" : " ", unit);
    if (size < 1e-12 || size >= 1e18) return fmt::format("{:.3g} {}", value, unit);
    const int prefix = prefix_of(size);
    const double shown = size / std::pow(1000.0, prefix - no_prefix);
    // Whole bytes and the like, as long as they are few.
    const bool is_whole = prefix == no_prefix && value == std::floor(value);
    return with_prefix(value, is_whole ? 0 : shown < 9.995 ? 2 : shown < 99.95 ? 1 : 0, prefix, unit);
}

Scale::Scale(const Axis& axis, double low, double high, bool to_ticks, int about) : low_(low), high_(high), log_(axis.log) {
    if (log_) {
        lay_log(axis, to_ticks, about);
    } else {
        lay_linear(axis, to_ticks, about);
    }
    if (axis.marks.empty()) return;
    const double room = 1.0 / (2 * about);
    ticks_.clear();
    for (const Tick& mark : axis.marks) {
        if (ticks_.empty() || share(mark.value) - share(ticks_.back().value) >= room) ticks_.push_back(mark);
    }
}

void Scale::lay_linear(const Axis& axis, bool to_ticks, int about) {
    if (axis.from_zero) {
        low_ = std::min(low_, 0.0);
        high_ = std::max(high_, 0.0);
    }
    // A line of one value lies in the middle of its chart. Differences that rounding alone makes are none.
    if (high_ - low_ <= 1e-12 * std::max(std::abs(low_), std::abs(high_))) {
        const double room = high_ == 0 || axis.whole ? 1 : 0.1 * std::abs(high_);
        if (!axis.from_zero) low_ -= room;
        high_ = std::min(high_ + room, axis.ceiling);
    }
    const double step = axis.whole ? std::max(1.0, round_step(high_ - low_, about)) : round_step(high_ - low_, about);
    if (to_ticks) {
        low_ = std::floor(low_ / step + 1e-9) * step;
        high_ = std::min(std::ceil(high_ / step - 1e-9) * step, axis.ceiling);
    }
    const double largest = std::max(std::abs(low_), std::abs(high_));
    for (double n = std::ceil(low_ / step - 1e-9); n * step <= high_ + 1e-9 * step && ticks_.size() < 100; ++n) {
        ticks_.push_back({n * step, linear_label(n * step, step, largest, axis.unit)});
    }
}

void Scale::lay_log(const Axis& axis, bool to_ticks, int about) {
    if (high_ <= low_ * (1 + 1e-6)) {
        low_ /= 2;
        high_ *= 2;
    }
    const int first = static_cast<int>(std::floor(std::log10(low_) + 1e-9)), last = static_cast<int>(std::ceil(std::log10(high_) - 1e-9));
    const double decades = std::log10(high_) - std::log10(low_);
    static constexpr std::array few{1.0, 2.0, 5.0};
    const std::span<const double> factors(few.data(), decades <= 0.5 * about ? 3 : 1);
    const int every = std::max(1, static_cast<int>(std::ceil(decades / about)));
    std::vector<double> marks;
    for (int power = first; power <= last; ++power) {
        for (const double factor : factors) marks.push_back(factor * std::pow(10.0, power));
    }
    if (to_ticks) {
        low_ = *(std::upper_bound(marks.begin(), marks.end(), low_ * (1 + 1e-9)) - 1);
        high_ = *std::lower_bound(marks.begin(), marks.end(), high_ * (1 - 1e-9));
    }
    for (std::size_t i = 0; i < marks.size(); i += static_cast<std::size_t>(every)) {
        if (marks[i] < low_ * (1 - 1e-9) || marks[i] > high_ * (1 + 1e-9)) continue;
        const bool has_prefix = !axis.unit.empty() && marks[i] >= 1e-12 && marks[i] < 1e18;
        ticks_.push_back(
            {marks[i], has_prefix ? with_prefix(marks[i], 0, prefix_of(marks[i]), axis.unit) : fmt::format("{:.3g}", marks[i])});
    }
}

double Scale::share(double value) const {
    if (log_) return (std::log(value) - std::log(low_)) / (std::log(high_) - std::log(low_));
    return (value - low_) / (high_ - low_);
}

}  // namespace silosum::plot

// How a round's updates become integers and back: which scale fits the ring, and what that costs in precision.
//   z = nearest_even(2^s * (w / W) * clamp(u, -C, C)) in Z/2^B,  mean = (sum z * W / 2^s) / sum w,  C and W powers of two.
#pragma once

#include <cstddef>
#include <cstdint>

namespace silosum {

/// The public numbers of one round's encoding; the same on every rank.
struct EncodingPlan {
    unsigned ring_bits = 32;  // B
    std::size_t silos = 1;    // the most silos that may be added without leaving the ring
    int range_log2 = 0;       // log2 C
    int weight_log2 = 0;      // log2 W
    int scale_bits = 0;       // s, may be negative for large C

    [[nodiscard]] double range() const;
    [[nodiscard]] double max_weight() const;
    /// 2^s * weight / W; exact.
    [[nodiscard]] double factor(std::uint64_t weight) const;
    /// W / 2^s: what one unit of the sum of words stands for, before the division by the sum of weights; exact.
    [[nodiscard]] double unit() const;
    /// Step between two neighbouring means for this sum of weights.
    [[nodiscard]] double resolution(std::uint64_t weight_sum) const;
    /// Largest error of a coordinate of the mean from rounding, when nothing was clipped: each silo is off by half a unit,
    /// or three quarters where words have as many bits as doubles.
    [[nodiscard]] double error_bound(std::uint64_t weight_sum) const;
};

/// s is the largest with silos * 2^s * C <= 2^(B-1) - 1 and s + log2 C <= 52, so that the sum cannot leave the ring and doubles hold
/// every word. Throws UsageError where fewer than 8 bits would be left for a coordinate.
/// ring_bits 32 or 64; range and max_weight powers of two.
[[nodiscard]] EncodingPlan plan_encoding(unsigned ring_bits, std::size_t silos, double range, std::uint64_t max_weight);

[[nodiscard]] bool is_power_of_two(double value);
/// The smallest power of two that is not below the value; value > 0.
[[nodiscard]] double power_of_two_from(double value);

/// The range of coordinates is always within these.
inline constexpr double smallest_range = 0x1p-20;
inline constexpr double largest_range = 0x1p20;

}  // namespace silosum

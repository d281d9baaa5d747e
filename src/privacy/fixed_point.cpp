#include "privacy/fixed_point.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.hpp"

namespace silosum {

namespace {

constexpr int least_bits = 8;
constexpr int double_bits = 52;

}  // namespace

double EncodingPlan::range() const {
    return std::ldexp(1.0, range_log2);
}
double EncodingPlan::max_weight() const {
    return std::ldexp(1.0, weight_log2);
}
double EncodingPlan::factor(std::uint64_t weight) const {
    return std::ldexp(static_cast<double>(weight), scale_bits - weight_log2);
}
double EncodingPlan::unit() const {
    return std::ldexp(1.0, weight_log2 - scale_bits);
}
double EncodingPlan::resolution(std::uint64_t weight_sum) const {
    return unit() / static_cast<double>(weight_sum);
}
double EncodingPlan::error_bound(std::uint64_t weight_sum) const {
    // Words of 52 bits beside the sign: the product that is rounded to a word was itself rounded to halves.
    const double units_of_silo = scale_bits + range_log2 >= double_bits ? 0.75 : 0.5;
    return static_cast<double>(silos) * units_of_silo * resolution(weight_sum);
}

bool is_power_of_two(double value) {
    int exponent = 0;
    return value > 0 && std::isfinite(value) && std::frexp(value, &exponent) == 0.5;
}

double power_of_two_from(double value) {
    int exponent = 0;
    const double fraction = std::frexp(value, &exponent);
    return std::ldexp(1.0, fraction == 0.5 ? exponent - 1 : exponent);
}

EncodingPlan plan_encoding(unsigned ring_bits, std::size_t silos, double range, std::uint64_t max_weight) {
    require(ring_bits == 32 || ring_bits == 64, "exchange.ring_bits = {}: must be 32 or 64", ring_bits);
    require(is_power_of_two(range), "the range of an update is {}: must be a power of two", range);
    require(std::has_single_bit(max_weight), "the largest weight of a silo is set to {}: must be a power of two", max_weight);
    require(silos > 0, "a round needs at least one silo");

    // bits = s + log2 C: how many bits a coordinate has beside its sign.
    const std::uint64_t largest_sum = (std::uint64_t{1} << (ring_bits - 1)) - 1;
    const std::uint64_t share = largest_sum / silos;
    const int bits = std::min(static_cast<int>(std::bit_width(share)) - 1, double_bits);
    require(bits >= least_bits, "{} silos a round leave {} bits for a coordinate in a ring of {} bits: set exchange.ring_bits = 64", silos,
            std::max(bits, 0), ring_bits);

    EncodingPlan plan;
    plan.ring_bits = ring_bits;
    plan.silos = silos;
    plan.range_log2 = std::ilogb(range);
    plan.weight_log2 = std::countr_zero(max_weight);
    plan.scale_bits = bits - plan.range_log2;
    return plan;
}

}  // namespace silosum

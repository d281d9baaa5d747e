#include "privacy/exact_numbers.hpp"

#include <bit>
#include <cmath>

#include "base/error.hpp"

namespace silosum {

namespace {

constexpr std::uint64_t limb_mask = 0xFFFFFFFFU;
using Limbs = std::array<std::uint64_t, exact_limbs>;
__extension__ using Wide = unsigned __int128;

// Two's complement: all bits inverted, plus one.
void negate(Limbs& limbs) {
    std::uint64_t carry = 1;
    for (auto& limb : limbs) {
        const std::uint64_t sum = (~limb & limb_mask) + carry;
        limb = sum & limb_mask;
        carry = sum >> 32;
    }
}

}  // namespace

bool fits_exact(double value) {
    return std::abs(value) < exact_limit;
}

Limbs encode_exact(double value) {
    int exponent = 0;
    const double fraction = std::frexp(std::abs(value), &exponent);  // [0.5, 1)
    // |value| = bits * 2^(shift - fraction bits)
    auto bits = static_cast<std::uint64_t>(std::ldexp(fraction, 53));
    int shift = exponent - 53 + exact_fraction_bits;
    if (shift < 0) {
        // Below the last place: round here, to the nearest and ties to even.
        bits = shift < -60 ? 0 : static_cast<std::uint64_t>(std::nearbyint(std::ldexp(fraction, 53 + shift)));
        shift = 0;
    }
    Limbs limbs{};
    const auto first = static_cast<std::size_t>(shift / 32);
    const int offset = shift % 32;
    const Wide wide = static_cast<Wide>(bits) << offset;
    for (std::size_t i = 0; i < 3 && first + i < exact_limbs; ++i)
        limbs[first + i] = static_cast<std::uint64_t>(wide >> (32 * i)) & limb_mask;
    if (std::signbit(value)) negate(limbs);
    return limbs;
}

double decode_exact(std::span<const std::uint64_t, exact_limbs> added) {
    Limbs limbs{};
    std::uint64_t carry = 0;
    for (std::size_t i = 0; i < exact_limbs; ++i) {
        // A sum of limbs is below 2^63 and the carry below 2^32: no overflow. The carry out of the top drops, as two's complement wants.
        const std::uint64_t sum = added[i] + carry;
        limbs[i] = sum & limb_mask;
        carry = sum >> 32;
    }
    const bool negative = (limbs.back() >> 31) != 0;
    if (negative) negate(limbs);

    std::size_t top = exact_limbs;
    while (top > 0 && limbs[top - 1] == 0) --top;
    if (top == 0) return 0;
    // The leading 64 bits, the lowest of which is set when anything behind them is: then one rounding to 53 bits is the right one.
    const int top_width = static_cast<int>(std::bit_width(limbs[top - 1]));
    const int width = static_cast<int>(32 * (top - 1)) + top_width;
    Wide window = 0;  // four limbs hold at least 97 bits from the leading one
    for (std::size_t i = 0; i < 4; ++i) window = window << 32 | (top > i ? limbs[top - 1 - i] : 0);
    const int window_width = top_width + 96;
    std::uint64_t lead = static_cast<std::uint64_t>(window >> (window_width - 64));
    bool rest = (window & ((static_cast<Wide>(1) << (window_width - 64)) - 1)) != 0;
    for (std::size_t i = 4; i < top; ++i) rest = rest || limbs[top - 1 - i] != 0;
    if (rest) lead |= 1;
    // The conversion to double rounds to nearest-even; the result is never subnormal, as the last place is 2^-160.
    const double magnitude = std::ldexp(static_cast<double>(lead), width - 64 - exact_fraction_bits);
    return negative ? -magnitude : magnitude;
}

void ExactNumbers::add(std::size_t index, double value, const std::string& what) {
    require<RuntimeError>(fits_exact(value), "{}: {} cannot be summed over the silos; numbers must be finite and below {:.2g}", what, value,
                          exact_limit);
    const Limbs limbs = encode_exact(value);
    for (std::size_t i = 0; i < exact_limbs; ++i) words_[index * exact_limbs + i] += limbs[i];
}

void ExactNumbers::add(std::span<const double> values, const std::string& what) {
    require<RuntimeError>(values.size() == size(), "{}: {} numbers where {} are summed", what, values.size(), size());
    for (std::size_t i = 0; i < values.size(); ++i) add(i, values[i], what);
}

double ExactNumbers::value(std::size_t index) const {
    return decode_exact(std::span<const std::uint64_t, exact_limbs>(words_.data() + index * exact_limbs, exact_limbs));
}

std::vector<double> ExactNumbers::values() const {
    std::vector<double> values(size());
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = value(i);
    return values;
}

}  // namespace silosum

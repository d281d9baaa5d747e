// Real numbers that add exactly, in any order: each is a fixed-point integer of 320 bits, cut into ten limbs of 32 bits that lie in
// words of 64. Words add up over silos and ranks like any counts, and 2^31 of them fit before a limb could overflow.
// For metrics and moments, which must not depend on where a silo is hosted.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace silosum {

inline constexpr std::size_t exact_limbs = 10;
/// Half of the bits are behind the point: doubles of magnitude 2^-107 (6e-33) and more are exact, smaller ones are rounded to a
/// multiple of 2^-160 (7e-49).
inline constexpr int exact_fraction_bits = 160;
/// Magnitudes from here on are refused: 2^31 numbers below it still fit.
inline constexpr double exact_limit = 0x1p128;

/// The limbs of a number, lowest first, as two's complement.
[[nodiscard]] std::array<std::uint64_t, exact_limbs> encode_exact(double value);
/// The double nearest to the sum that the added limbs stand for; ties go to even.
[[nodiscard]] double decode_exact(std::span<const std::uint64_t, exact_limbs> limbs);
/// Whether encode_exact takes it: finite and below the limit.
[[nodiscard]] bool fits_exact(double value);

/// A vector of such sums.
class ExactNumbers {
public:
    explicit ExactNumbers(std::size_t size = 0) : words_(size * exact_limbs, 0) {}

    [[nodiscard]] std::size_t size() const { return words_.size() / exact_limbs; }
    /// Adds to one sum. Throws RuntimeError naming `what` and the value where it is NaN, infinite or too large.
    void add(std::size_t index, double value, const std::string& what);
    /// Adds values[i] to sum i.
    void add(std::span<const double> values, const std::string& what);
    void clear() { words_.assign(words_.size(), 0); }

    /// Words to be added with those of other ranks, wrapping; size() * exact_limbs of them.
    [[nodiscard]] std::span<std::uint64_t> words() { return words_; }
    [[nodiscard]] std::span<const std::uint64_t> words() const { return words_; }
    [[nodiscard]] double value(std::size_t index) const;
    [[nodiscard]] std::vector<double> values() const;

private:
    std::vector<std::uint64_t> words_;
};

}  // namespace silosum

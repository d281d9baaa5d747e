// Counter-based random numbers: value = f(seed, purpose, silo, round, index). No state to save, nothing depends on the rank.
// Generator: Philox4x32-10, Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace silosum {

/// What a random value is for; part of the key, so that streams never meet. Numbers are part of the file formats: append only.
enum class Purpose : std::uint32_t { initial_model = 1, batch_order, dropout, selection, partition, split };

/// Philox4x32-10 block function.
[[nodiscard]] std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

/// A stream of random values that is a pure function of its five coordinates.
/// The seed may use all 64 bits; index counts blocks of four 32-bit values.
class Random {
public:
    Random(std::uint64_t seed, Purpose purpose, std::uint32_t silo = 0, std::uint32_t round = 0);

    /// Four 32-bit words of block `index`.
    [[nodiscard]] std::array<std::uint32_t, 4> block(std::uint64_t index) const;
    /// Word i of the stream: word i % 4 of block i / 4.
    [[nodiscard]] std::uint32_t word(std::uint64_t i) const { return block(i / 4)[i % 4]; }
    /// Double in [0, 1) with 53 random bits.
    [[nodiscard]] double uniform(std::uint64_t i) const;
    /// Standard normal by Box and Muller.
    [[nodiscard]] double normal(std::uint64_t i) const;
    /// Integer in [0, bound), bias below 2^-32; bound > 0.
    [[nodiscard]] std::uint32_t below(std::uint64_t i, std::uint32_t bound) const;

    /// What philox takes besides the index: block(i) = philox({low half of i, high half of i, silo, round}, key). For kernels that make
    /// many blocks at once.
    [[nodiscard]] std::array<std::uint32_t, 2> key() const { return key_; }
    [[nodiscard]] std::uint32_t silo() const { return silo_; }
    [[nodiscard]] std::uint32_t round() const { return round_; }

private:
    std::array<std::uint32_t, 2> key_;
    std::uint32_t silo_;
    std::uint32_t round_;
};

/// The numbers 0..n-1 in random order (Fisher-Yates), using stream values starting at `first`.
[[nodiscard]] std::vector<std::uint32_t> permutation(const Random& random, std::size_t n, std::uint64_t first = 0);

/// m different numbers below n, ascending.
[[nodiscard]] std::vector<std::uint32_t> sample_without_replacement(const Random& random, std::size_t n, std::size_t m);

}  // namespace silosum

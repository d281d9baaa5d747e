// Sums of random subsets of words: what a change of a sum on its way shows up in.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace silosum::kernels {

/// So many subsets at a time. A change of any word is missed by each with a probability of one half at most.
inline constexpr std::size_t subsets = 64;
/// Words are taken in groups of 16, with 16 random numbers of 64 bits for each group: bit 16 (s % 4) + k of number s / 4 says whether word
/// k of the group is in subset s.
inline constexpr std::size_t subset_group = 16;

/// sums[s] += sum of the words in subset s, wrapping. choices: a number for each word, rounded up to whole groups.
void add_subset_sums(std::span<const std::uint32_t> words, std::span<const std::uint64_t> choices,
                     std::array<std::uint32_t, subsets>& sums);
void add_subset_sums(std::span<const std::uint64_t> words, std::span<const std::uint64_t> choices,
                     std::array<std::uint64_t, subsets>& sums);

}  // namespace silosum::kernels

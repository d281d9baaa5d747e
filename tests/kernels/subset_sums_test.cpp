#include "kernels/subset_sums.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "kernels/isa.hpp"

namespace silosum::kernels {
namespace {

std::uint64_t number(std::uint64_t i) {
    return i * 0x9E3779B97F4A7C15ULL ^ (i * i + 7) * 0xC2B2AE3D27D4EB4FULL;
}

// By the definition, bit by bit.
template <class Word>
std::array<Word, subsets> sums_of(const std::vector<Word>& words, const std::vector<std::uint64_t>& choices) {
    std::array<Word, subsets> sums{};
    for (std::size_t i = 0; i < words.size(); ++i) {
        for (std::size_t s = 0; s < subsets; ++s) {
            const std::uint64_t four = choices[i / subset_group * subset_group + s / 4];
            if ((four >> (s % 4 * 16 + i % subset_group) & 1) != 0) sums[s] += words[i];
        }
    }
    return sums;
}

template <class Word>
void expect_definition(std::size_t n) {
    std::vector<Word> words(n);
    std::vector<std::uint64_t> choices((n + subset_group - 1) / subset_group * subset_group);
    for (std::size_t i = 0; i < n; ++i) words[i] = static_cast<Word>(number(i));
    for (std::size_t i = 0; i < choices.size(); ++i) choices[i] = number(i + 1000);
    std::array<Word, subsets> sums{};
    add_subset_sums(std::span<const Word>(words), choices, sums);
    EXPECT_EQ(sums, sums_of(words, choices)) << n;
    add_subset_sums(std::span<const Word>(words), choices, sums);
    for (std::size_t s = 0; s < subsets; ++s) EXPECT_EQ(sums[s], static_cast<Word>(2 * sums_of(words, choices)[s]));
}

TEST(SubsetSums, AreThoseOfTheDefinitionOnEveryInstructionSet) {
    for (const Isa isa : usable_isas()) {
        use_isa(isa);
        for (const std::size_t n : {0U, 1U, 15U, 16U, 17U, 1024U, 1100U, 5000U}) {
            expect_definition<std::uint32_t>(n);
            expect_definition<std::uint64_t>(n);
        }
    }
    use_isa(best_isa());
}

}  // namespace
}  // namespace silosum::kernels

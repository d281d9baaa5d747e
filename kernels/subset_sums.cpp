// Vectorised sums of subsets, several subsets at a time, so that words are loaded once for all of them.
#include "kernels/simd.hpp"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/subset_sums.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
//
#include <algorithm>
#include <cassert>

#include "kernels/subset_sums.hpp"

HWY_BEFORE_NAMESPACE();
namespace silosum::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class Word>
HWY_INLINE void add_sums(std::size_t groups, const Word* words, const std::uint64_t* choices, Word* sums) {
    const hn::CappedTag<Word, subset_group> d;
    constexpr std::size_t lanes = hn::MaxLanes(d);
    alignas(64) Word bits[subset_group];
    for (std::size_t k = 0; k < subset_group; ++k) bits[k] = Word{1} << k;
    for (std::size_t s = 0; s < subsets; s += 4) {
        auto sum0 = hn::Zero(d);
        auto sum1 = hn::Zero(d);
        auto sum2 = hn::Zero(d);
        auto sum3 = hn::Zero(d);
        for (std::size_t group = 0; group < groups; ++group) {
            const std::uint64_t chosen = choices[group * subset_group + s / 4];  // of four subsets
            for (std::size_t k = 0; k < subset_group; k += lanes) {
                const auto v = hn::LoadU(d, words + group * subset_group + k);
                const auto bit = hn::Load(d, bits + k);
                const auto if_chosen = [&](std::size_t i) HWY_ATTR {
                    return hn::IfThenElseZero(hn::TestBit(hn::Set(d, static_cast<Word>(chosen >> (16 * i) & 0xFFFF)), bit), v);
                };
                sum0 = hn::Add(sum0, if_chosen(0));
                sum1 = hn::Add(sum1, if_chosen(1));
                sum2 = hn::Add(sum2, if_chosen(2));
                sum3 = hn::Add(sum3, if_chosen(3));
            }
        }
        alignas(64) Word totals[4][subset_group] = {};
        hn::Store(sum0, d, totals[0]);
        hn::Store(sum1, d, totals[1]);
        hn::Store(sum2, d, totals[2]);
        hn::Store(sum3, d, totals[3]);
        for (std::size_t i = 0; i < 4; ++i) {
            for (const Word lane : totals[i]) sums[s + i] += lane;
        }
    }
}

void add_sums32(std::size_t groups, const std::uint32_t* words, const std::uint64_t* choices, std::uint32_t* sums) {
    add_sums(groups, words, choices, sums);
}
void add_sums64(std::size_t groups, const std::uint64_t* words, const std::uint64_t* choices, std::uint64_t* sums) {
    add_sums(groups, words, choices, sums);
}

}  // namespace HWY_NAMESPACE
}  // namespace silosum::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace silosum::kernels {
namespace {

HWY_EXPORT(add_sums32);
HWY_EXPORT(add_sums64);

void add_groups(std::size_t groups, const std::uint32_t* words, const std::uint64_t* choices, std::uint32_t* sums) {
    HWY_DYNAMIC_DISPATCH(add_sums32)(groups, words, choices, sums);
}
void add_groups(std::size_t groups, const std::uint64_t* words, const std::uint64_t* choices, std::uint64_t* sums) {
    HWY_DYNAMIC_DISPATCH(add_sums64)(groups, words, choices, sums);
}

template <class Word>
void add_all(std::span<const Word> words, std::span<const std::uint64_t> choices, std::array<Word, subsets>& sums) {
    constexpr std::size_t piece = 64;  // groups at a time: words and choices stay in the first-level cache
    const std::size_t whole = words.size() / subset_group;
    assert(choices.size() >= (words.size() + subset_group - 1) / subset_group * subset_group);
    for (std::size_t group = 0; group < whole; group += piece) {
        add_groups(std::min(piece, whole - group), words.data() + group * subset_group, choices.data() + group * subset_group, sums.data());
    }
    const std::size_t rest = words.size() % subset_group;
    if (rest == 0) return;
    std::array<Word, subset_group> last{};
    std::copy_n(words.data() + whole * subset_group, rest, last.data());
    add_groups(1, last.data(), choices.data() + whole * subset_group, sums.data());
}

}  // namespace

void add_subset_sums(std::span<const std::uint32_t> words, std::span<const std::uint64_t> choices,
                     std::array<std::uint32_t, subsets>& sums) {
    add_all(words, choices, sums);
}
void add_subset_sums(std::span<const std::uint64_t> words, std::span<const std::uint64_t> choices,
                     std::array<std::uint64_t, subsets>& sums) {
    add_all(words, choices, sums);
}

}  // namespace silosum::kernels
#endif

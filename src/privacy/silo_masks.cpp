#include "privacy/silo_masks.hpp"

#include <algorithm>

#include "privacy/refusal.hpp"

namespace silosum {

bool SiloMasks::is_of_terms(std::uint32_t vector, std::uint32_t ring_bits, std::uint64_t first, std::uint64_t size) const {
    const auto known = std::find_if(vectors_.begin(), vectors_.end(), [&](const auto& v) { return v.id == vector; });
    return known != vectors_.end() && known->ring_bits == ring_bits && size <= known->words && first <= known->words - size;
}

bool SiloMasks::is_kept(std::uint32_t vector, std::uint64_t first, std::uint64_t size) const {
    const auto only = only_.find(vector);
    return only == only_.end() || std::any_of(only->second.begin(), only->second.end(),
                                              [&](const auto& range) { return first >= range.first && first + size <= range.second; });
}

void SiloMasks::remember(std::uint32_t vector, std::uint64_t first, std::uint64_t size) {
    auto& masked = masked_[vector];
    const auto after = masked.upper_bound(first);
    const bool overlaps =
        (after != masked.end() && after->first < first + size) || (after != masked.begin() && std::prev(after)->second > first);
    unless_refused(!overlaps, Refusal::range_given_twice, "words {} to {} of vector {} are masked already: the difference would be plain",
                   first, first + size, vector);
    if (after != masked.begin() && std::prev(after)->second == first) {
        std::prev(after)->second = first + size;  // chunks in order stay one entry
    } else {
        masked[first] = first + size;
    }
}

void SiloMasks::keep_to(std::uint32_t vector, WordRanges ranges) {
    unless_refused(!masked_.contains(vector) && !only_.contains(vector), Refusal::range_given_twice,
                   "words of vector {} of {} are masked here already, and should be shared out now", vector, name_);
    only_[vector] = std::move(ranges);
}

void SiloMasks::claim(std::uint32_t vector, std::uint32_t ring_bits, std::uint64_t first, std::uint64_t size) {
    unless_refused(is_of_terms(vector, ring_bits, first, size), Refusal::range_given_twice,
                   "words {} to {} of vector {} are not in the terms", first, first + size, vector);
    if (size == 0) return;
    unless_refused(is_kept(vector, first, size) && streams_.has(vector), Refusal::range_given_twice,
                   "words {} to {} of vector {} of {} are to be masked by another of its ranks", first, first + size, vector, name_);
    remember(vector, first, size);
}

}  // namespace silosum

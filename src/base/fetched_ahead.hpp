// Reading memory in order, with what comes next on its way: what a processor fetches by itself stops at the end of each page of 4 KiB.
// It pays where a loop waits for its own results, as a hash does.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace silosum {

/// Calls use(piece) for the bytes in order, piece by piece.
template <class Byte, class Use>
void in_pieces_fetched_ahead(std::span<Byte> bytes, const Use& use) {
    static_assert(sizeof(Byte) == 1);
    constexpr std::size_t piece = 1024;
    constexpr std::size_t ahead = 4096;
    constexpr std::size_t line = 64;
    for (std::size_t first = 0; first < bytes.size(); first += piece) {
        const std::size_t fetched = std::min(first + ahead, bytes.size());
        for (std::size_t i = fetched; i < std::min(fetched + piece, bytes.size()); i += line) __builtin_prefetch(&bytes[i], 0, 2);
        use(bytes.subspan(first, std::min(piece, bytes.size() - first)));
    }
}

}  // namespace silosum

// Parts of a sum that lie apart, added up element by element in the order given.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

namespace silosum {

/// sum[i] = parts[0][i] + parts[1][i] + ... The sum may lie where one of the parts does. There is at least one part.
template <class T>
void add_parts(std::size_t n, std::span<const T* const> parts, T* sum) {
    std::array<T, 2048> piece;  // stays in the first-level cache, so that each part is read from memory once
    for (std::size_t first = 0; first < n; first += piece.size()) {
        const std::size_t count = std::min(piece.size(), n - first);
        std::copy_n(parts[0] + first, count, piece.begin());
        for (const T* const part : parts.subspan(1)) {
            for (std::size_t i = 0; i < count; ++i) piece[i] += part[first + i];
        }
        std::copy_n(piece.begin(), count, sum + first);
    }
}

}  // namespace silosum

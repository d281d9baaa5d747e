// Images are (C, H, W) on disk, as PyTorch users write them, and (H, W, C) in memory, as the kernels read them.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace silosum {

/// Rows of values whose inner (outer, inner) matrix is transposed to (inner, outer).
template <class T>
[[nodiscard]] std::vector<T> rows_transposed(const std::vector<T>& values, std::size_t outer, std::size_t inner) {
    std::vector<T> out(values.size());
    const std::size_t row = outer * inner;
    for (std::size_t start = 0; start + row <= values.size(); start += row) {
        for (std::size_t a = 0; a < outer; ++a) {
            for (std::size_t b = 0; b < inner; ++b) out[start + b * outer + a] = values[start + a * inner + b];
        }
    }
    return out;
}

/// Whether the two orders differ for this feature shape (as on disk).
[[nodiscard]] inline bool has_channels(const std::vector<std::size_t>& shape) {
    return shape.size() == 3 && shape[0] > 1;
}

template <class T>
[[nodiscard]] std::vector<T> channels_last(std::vector<T> values, const std::vector<std::size_t>& shape) {
    return has_channels(shape) ? rows_transposed(values, shape[0], shape[1] * shape[2]) : std::move(values);
}

template <class T>
[[nodiscard]] std::vector<T> channels_first(std::vector<T> values, const std::vector<std::size_t>& shape) {
    return has_channels(shape) ? rows_transposed(values, shape[1] * shape[2], shape[0]) : std::move(values);
}

}  // namespace silosum

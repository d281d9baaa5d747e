// Which rank owns which coordinates of the model: contiguous slices, as even as whole blocks of 16 floats (a cache line) allow.
#pragma once

#include <algorithm>
#include <cstddef>

namespace silosum {

class Slices {
public:
    static constexpr std::size_t block = 16;

    Slices(std::size_t coordinates, int ranks)
        : coordinates_(coordinates), ranks_(static_cast<std::size_t>(ranks)), blocks_((coordinates + block - 1) / block) {}

    [[nodiscard]] std::size_t coordinates() const { return coordinates_; }
    [[nodiscard]] int ranks() const { return static_cast<int>(ranks_); }
    /// First coordinate of a rank's slice; the first blocks_ % ranks slices are one block longer.
    [[nodiscard]] std::size_t begin(int rank) const {
        const auto r = static_cast<std::size_t>(rank);
        return std::min(coordinates_, block * (blocks_ / ranks_ * r + std::min(r, blocks_ % ranks_)));
    }
    [[nodiscard]] std::size_t end(int rank) const { return begin(rank + 1); }
    [[nodiscard]] std::size_t size(int rank) const { return end(rank) - begin(rank); }
    [[nodiscard]] std::size_t largest() const { return size(0); }

private:
    std::size_t coordinates_;
    std::size_t ranks_;
    std::size_t blocks_;
};

}  // namespace silosum

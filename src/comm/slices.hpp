// Which rank owns which coordinates of the model: contiguous slices, as even as whole blocks of 16 floats (a cache line) allow.
#pragma once

#include <algorithm>
#include <cstddef>

namespace silosum {

class Slices {
public:
    static constexpr std::size_t block = 16;

    /// Of ranks in groups (comm/rank_groups.hpp), those at one position have slices side by side, in the order of the groups: together
    /// they own one part of the vector.
    explicit Slices(std::size_t coordinates, int ranks, int ranks_per_group = 1)
        : coordinates_(coordinates),
          blocks_((coordinates + block - 1) / block),
          places_(static_cast<std::size_t>(ranks)),
          ranks_(static_cast<std::size_t>(ranks)),
          positions_(static_cast<std::size_t>(ranks_per_group)) {}
    /// The same slices as a communicator of the ranks at one position sees them: its rank g is that of group g.
    [[nodiscard]] Slices of_position(int position) const {
        Slices part = *this;
        part.ranks_ = ranks_ / positions_;
        part.positions_ = 1;
        part.first_place_ = static_cast<std::size_t>(position) * part.ranks_;
        return part;
    }

    /// Of the whole vector.
    [[nodiscard]] std::size_t coordinates() const { return coordinates_; }
    [[nodiscard]] int ranks() const { return static_cast<int>(ranks_); }
    [[nodiscard]] std::size_t begin(int rank) const { return cut(place(rank)); }
    [[nodiscard]] std::size_t end(int rank) const { return cut(place(rank) + 1); }
    [[nodiscard]] std::size_t size(int rank) const { return end(rank) - begin(rank); }
    [[nodiscard]] std::size_t largest() const { return size(0); }
    /// What the slices of these ranks cover: the vector, or the part of a position.
    [[nodiscard]] std::size_t first() const { return cut(first_place_); }
    [[nodiscard]] std::size_t last() const { return cut(first_place_ + ranks_); }

private:
    /// Where a rank's slice stands among all.
    [[nodiscard]] std::size_t place(int rank) const {
        const auto r = static_cast<std::size_t>(rank);
        return first_place_ + r % positions_ * (ranks_ / positions_) + r / positions_;
    }
    /// First coordinate of the slice at a place; the first blocks_ % places_ slices are one block longer.
    [[nodiscard]] std::size_t cut(std::size_t place) const {
        return std::min(coordinates_, block * (blocks_ / places_ * place + std::min(place, blocks_ % places_)));
    }

    std::size_t coordinates_;
    std::size_t blocks_;
    std::size_t places_;  // slices of the whole vector
    std::size_t ranks_;
    std::size_t positions_;
    std::size_t first_place_ = 0;
};

/// The steps in which slices travel: in each, every rank gives every owner one chunk of the owner's slice.
class Chunks {
public:
    /// step_bytes: what a rank gives in one step to all others together.
    Chunks(const Slices& slices, std::size_t step_bytes, std::size_t word_bytes)
        : slices_(slices),
          size_(std::clamp(step_bytes / static_cast<std::size_t>(slices.ranks()) / word_bytes / Slices::block * Slices::block,
                           Slices::block, std::max(Slices::block, slices.largest()))) {}

    [[nodiscard]] const Slices& slices() const { return slices_; }
    /// Words of the largest chunk.
    [[nodiscard]] std::size_t size() const { return size_; }
    /// Of all ranks together, and those in which a rank's slice has coordinates.
    [[nodiscard]] std::size_t steps() const { return (slices_.largest() + size_ - 1) / size_; }
    [[nodiscard]] std::size_t steps_of(int rank) const { return (slices_.size(rank) + size_ - 1) / size_; }
    /// Coordinates of a rank's slice that belong to a step.
    [[nodiscard]] std::size_t first(int rank, std::size_t step) const {
        return slices_.begin(rank) + std::min(slices_.size(rank), step * size_);
    }
    [[nodiscard]] std::size_t count(int rank, std::size_t step) const { return first(rank, step + 1) - first(rank, step); }

private:
    Slices slices_;
    std::size_t size_;
};

}  // namespace silosum

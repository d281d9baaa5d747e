// Ranks that share a machine's memory, and memory that they share.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/buffer.hpp"
#include "comm/mpi.hpp"
#include "comm/slices.hpp"

namespace silosum {

/// Which ranks of a communicator share a node. The same on all of them.
class Nodes {
public:
    /// Collective. The ranks of one machine are a node; with `largest` > 0 they are several of at most so many ranks, as on several
    /// machines.
    explicit Nodes(const Communicator& communicator, int largest = 0);
    /// Every rank is a node of its own: nobody shares memory.
    [[nodiscard]] static Nodes apart(const Communicator& communicator);

    /// The same for a communicator of some of these ranks: its rank i is ranks[i] here. Local.
    [[nodiscard]] Nodes among(const std::vector<int>& ranks) const;

    [[nodiscard]] std::size_t count() const { return ranks_of_.size(); }
    [[nodiscard]] std::size_t of(int rank) const { return of_[static_cast<std::size_t>(rank)]; }
    /// Ascending.
    [[nodiscard]] const std::vector<int>& ranks_of(std::size_t node) const { return ranks_of_[node]; }
    /// Place of a rank among those of its node.
    [[nodiscard]] std::size_t place(int rank) const { return place_[static_cast<std::size_t>(rank)]; }
    [[nodiscard]] bool together(int rank, int other) const { return of(rank) == of(other); }

private:
    explicit Nodes(const std::vector<int>& first_of);  // by rank, the lowest rank of its node

    std::vector<std::size_t> of_;
    std::vector<std::size_t> place_;
    std::vector<std::vector<int>> ranks_of_;
};

/// Collective. Zeroed memory that all ranks of a node see, the same `bytes` for all of them, and 0 on all nodes or on none; each keeps its
/// own hold on it, so that giving it up needs no word between them, and nothing is left behind by a rank that dies. Every rank throws the
/// same AgreedError, which says where and why, when some node has no room for it.
[[nodiscard]] std::shared_ptr<std::byte> shared_memory(const Communicator& communicator, const Nodes& nodes, std::size_t bytes);

template <class T>
[[nodiscard]] Buffer<T> shared_buffer(const Communicator& communicator, const Nodes& nodes, std::size_t size) {
    auto memory = shared_memory(communicator, nodes, size * sizeof(T));
    T* const data = reinterpret_cast<T*>(memory.get());
    return Buffer<T>(std::move(memory), data, size);
}

/// Collective. For a vector that the ranks of a node share: every rank has filled its own slice; afterwards each node has all of it.
/// Returns the bytes that others have from this rank.
std::size_t all_gather_shared(const Communicator& communicator, const Nodes& nodes, const Slices& slices, std::size_t bytes_each,
                              std::byte* whole);

/// Collective. For a vector that the ranks of a node share: rank 0 has filled it; afterwards each node has it.
void broadcast_shared(const Communicator& communicator, const Nodes& nodes, std::span<std::byte> whole);

}  // namespace silosum

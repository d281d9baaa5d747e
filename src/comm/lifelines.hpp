// Whether the other ranks of this machine are alive, as its kernel knows: at once, and without a word between them.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include <pthread.h>

#include "comm/mpi.hpp"
#include "comm/nodes.hpp"

namespace silosum {

/// Each rank holds a lock in memory that all ranks of its machine see; the kernel marks the locks of a process that ends while it holds
/// them, however it ends.
class Lifelines {
public:
    /// Collective. Throws the same AgreedError on all ranks where a machine has no memory to share.
    explicit Lifelines(const Communicator& communicator);
    /// From here on this rank has left in order.
    ~Lifelines();
    Lifelines(const Lifelines&) = delete;
    Lifelines& operator=(const Lifelines&) = delete;

    /// The other ranks of this machine.
    [[nodiscard]] const std::vector<int>& neighbours() const { return neighbours_; }
    /// Whether one of them has ended without leaving. Local; any thread may ask.
    [[nodiscard]] bool is_cut(int neighbour);

private:
    struct Line {
        pthread_mutex_t held;
        std::atomic<bool> is_cut;
    };
    [[nodiscard]] Line& line_of(int rank);

    int rank_;
    Nodes nodes_;
    std::vector<int> neighbours_;
    std::shared_ptr<std::byte> lines_;  // of all ranks of this machine, by place
};

}  // namespace silosum

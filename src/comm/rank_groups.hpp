// Ranks in groups of neighbours that share the work of a silo: rank r of all is at position r % each of group r / each.
#pragma once

#include "comm/mpi.hpp"

namespace silosum {

class RankGroups {
public:
    /// Collective. `each`, the ranks of a group, must divide the number of ranks.
    RankGroups(const Communicator& communicator, int each);

    [[nodiscard]] int count() const { return peers_.size(); }
    [[nodiscard]] int each() const { return own_.size(); }
    /// Of this rank.
    [[nodiscard]] int group() const { return peers_.rank(); }
    [[nodiscard]] int position() const { return own_.rank(); }
    /// The first of a group speaks for its silos, where each must be heard once.
    [[nodiscard]] bool is_first() const { return position() == 0; }
    /// The rank, of all, at a position of a group.
    [[nodiscard]] int rank_of(int group, int position = 0) const { return group * each() + position; }

    /// This rank's group, by position.
    [[nodiscard]] const Communicator& own() const { return own_; }
    /// The ranks at this rank's position of all groups, by group.
    [[nodiscard]] const Communicator& peers() const { return peers_; }

private:
    Communicator own_;
    Communicator peers_;
};

}  // namespace silosum

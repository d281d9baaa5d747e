// Small exact sums over ranks, for metrics and moments: the same bits for every number of ranks and placement of silos.
#pragma once

#include <vector>

#include "comm/collectives.hpp"
#include "privacy/exact_numbers.hpp"

namespace silosum {

/// Collective. Each rank has added the numbers of its silos, each silo's by itself; returns the sums over all, equal on all ranks.
/// Counts need no such care: all_reduce_sum.
[[nodiscard]] inline std::vector<double> sum_exactly(const Communicator& communicator, ExactNumbers numbers) {
    all_reduce_sum(communicator, numbers.words());
    return numbers.values();
}

}  // namespace silosum

// What each silo would reach alone: the same rounds of local training without the others, measured on everybody's test rows.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "observe/evaluation.hpp"

namespace silosum {

/// Collective. Trains every silo alone from `initial` for `rounds` rounds and measures its model on the common test, or else on the test
/// rows of all silos. Where `standardise` is federated, a silo alone knows only its own means and deviations. One row a silo, equal on
/// all ranks. Leaves the silos' features and optimiser state changed: for the end of a run.
[[nodiscard]] std::vector<std::pair<std::string, Metrics>> compare_local(Federation& federation, const Parameters& initial,
                                                                         std::uint64_t rounds, const std::optional<CommonTest>& common_test,
                                                                         const std::string& standardise);

}  // namespace silosum

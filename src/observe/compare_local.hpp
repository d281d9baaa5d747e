// What each silo would reach alone: the same rounds of local training without the others, measured on everybody's test rows.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "observe/evaluation.hpp"

namespace silosum {

/// Collective. Trains every silo alone from `initial` for `rounds` rounds and measures its model on the common test, or else on the test
/// rows of all silos. Where `standardise` is federated, a silo alone knows only its own means and deviations. One row a silo, equal on
/// all ranks; nothing when a signal asked some rank to stop. Leaves the silos' features and optimiser state changed: for the end of a run.
using MetricsBySilo = std::vector<std::pair<std::string, Metrics>>;
[[nodiscard]] std::optional<MetricsBySilo> compare_local(Federation& federation, const Parameters& initial, std::uint64_t rounds,
                                                         const std::optional<CommonTest>& common_test, const std::string& standardise);

}  // namespace silosum

// What the silos learn of each other's features and labels before training: sums of moments and of label counts, nothing else.
#pragma once

#include <string>
#include <vector>

#include "comm/mpi.hpp"
#include "data/data_config.hpp"
#include "data/standardise.hpp"
#include "federation/census.hpp"
#include "model/standardisation.hpp"

namespace silosum {

/// Collective. Feature moments of the train rows of all silos, from two exact sums: the mean, then the distances from it.
[[nodiscard]] Moments federated_moments(const Communicator& world, Sums& sums, const Problem& problem, const std::vector<Silo>& hosted);

/// Collective. Standardises the hosted silos' features as data.standardise says; federated means and deviations come from
/// exact sums over the train rows of all silos.
[[nodiscard]] Standardisation standardise(const Communicator& world, Sums& sums, const std::string& kind, const Problem& problem,
                                          std::vector<Silo>& hosted);

/// UsageError where data.class_weights does not fit the problem.
void check_class_weights(const DataConfig& config, const Problem& problem);

/// Collective. The weights of the classes in the loss: empty (none), the given ones, or balanced: n / (classes * n_c) with n_c the train
/// rows of class c over all silos (1 for a class that nobody has).
[[nodiscard]] std::vector<float> class_weights(const Communicator& world, Sums& sums, const DataConfig& config, const Problem& problem,
                                               const std::vector<Silo>& hosted);

}  // namespace silosum

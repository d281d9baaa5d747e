// Rounds played through event by event: silos that train for unequal times, leave, and mask along the graph of the product; ranks that
// make and take chunks on the cores of their machine, links that carry one message after the other. Costs are those of a fitted model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "benchmark/scale_model.hpp"

namespace silosum {

struct SimulationSetting {
    RoundShape shape;       // its leavers are its first silos, as in `silosum bench`, where dropouts are 0
    double dropouts = 0;    // probability that a silo leaves before it enters the sum
    double train_s = 0;     // mean time that a silo trains, alone on its core
    double straggling = 0;  // standard deviation of the logarithm of that time
    std::uint64_t seed = 1;
};

struct SimulatedRound {
    double train_s = 0;    // until the last rank has trained
    double waiting_s = 0;  // of the mean rank, for the last
    double sum_s = 0;      // from there to the published model
    std::uint32_t leavers = 0;
    std::string refusal;  // why there was no sum; then sum_s ends where that was found out
};

/// Deterministic: of the seed and the number of the round.
[[nodiscard]] SimulatedRound simulate_round(const ScaleModel& model, const SimulationSetting& setting, std::uint32_t round);

}  // namespace silosum

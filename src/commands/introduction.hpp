// What a training job says of itself: before its first round, and where ranks have died.
#pragma once

#include "config/assemble.hpp"

namespace silosum {

/// Local, for one rank: silos, ranks, rows, the model, how updates travel, and what is claimed of sums under masks.
void introduce(const RunConfig& config, const Assembly& assembly);
/// Local, for one of the survivors. round: the first without the lost silos.
void tell_of_deaths(const Communicator& survivors, const Census& census, std::uint64_t round, const std::vector<std::uint32_t>& lost);

}  // namespace silosum

// What a training job says of itself before its first round.
#pragma once

#include "config/assemble.hpp"

namespace silosum {

/// Local, for one rank: silos, ranks, rows, the model, how updates travel, and what is claimed of sums under masks.
void introduce(const RunConfig& config, const Assembly& assembly);

}  // namespace silosum

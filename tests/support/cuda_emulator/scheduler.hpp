// Runs a launch to its end.
#pragma once

#include "launch.hpp"

namespace emulator {

/// Runs all blocks, one after the other. Throws an Error that names the launch, the block, the seed and the cause.
void run_grid(const Launch& launch);

/// True inside run_grid.
bool kernel_is_running();

}  // namespace emulator

// Runs what nvcc made of a kernel in place of its C++.
#pragma once

#include "../launch.hpp"

namespace emulator::ptx {

/// The launch itself, or one of the kernel of that name in the files that the environment variable SILOSUM_CUDA_PTX names, separated by
/// colons. With the variable set, a kernel that is in none of them is an error.
Launch replaced(const Launch& launch);

}  // namespace emulator::ptx

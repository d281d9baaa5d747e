// Constant memory of the PTX in use.
#pragma once

#include <cstddef>

namespace emulator::ptx {

/// What cudaMemcpyToSymbol does to the variable of that name in the PTX; nothing without PTX. `symbol` is its address in the C++ build.
void copy_to_constant(const void* symbol, std::size_t offset, const void* from, std::size_t bytes);

}  // namespace emulator::ptx

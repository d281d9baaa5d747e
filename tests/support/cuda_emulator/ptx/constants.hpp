// Memory of PTX's .const and .global variables.
#pragma once

#include <cstddef>

#include "../memory_range.hpp"

namespace emulator::ptx {

/// A new variable, filled with zeros, that is never freed.
char* add_constant(std::size_t bytes, std::size_t alignment);

/// All of them, for the access checker: kernels may read here.
MemoryRange constants();

/// What cudaMemcpyToSymbol does to the variable of that name in the PTX; nothing without PTX. `symbol` is its address in the C++ build.
void copy_to_constant(const void* symbol, std::size_t offset, const void* from, std::size_t bytes);

}  // namespace emulator::ptx

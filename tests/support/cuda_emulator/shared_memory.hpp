// The running block's shared memory: static variables and one dynamic piece, filled with 0xff before each block.
#pragma once

#include <cstddef>

#include "memory_range.hpp"

namespace emulator {

/// Fills all with 0xff; `dynamic_bytes` of the dynamic piece may be touched.
void prepare_shared_memory(std::size_t dynamic_bytes);

/// From the first to the last static shared variable; empty under AddressSanitizer.
MemoryRange static_shared_range();

/// All that is kept for the dynamic piece, whatever part of it the launch asked for.
MemoryRange dynamic_shared_range();

}  // namespace emulator

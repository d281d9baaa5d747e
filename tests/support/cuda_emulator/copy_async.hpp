// The twin of cp.async: copies from global to shared memory that are there only after a wait. A wrapper in the kernels' header calls these
// under SILOSUM_CUDA_EMULATED and the instruction elsewhere; tensor core instructions would get a twin in the same way.
#pragma once

#include <cstddef>

#include "where.hpp"

namespace emulator {

/// Copies 4, 8 or 16 bytes, both sides aligned to them. The copy happens at the wait for its group, as this thread's.
void copy_async(void* to_shared, const void* from_global, std::size_t bytes, Where where = Where::current());

/// Makes one group of this thread's copies since its last commit.
void commit_copies();

/// Waits until at most `groups` of this thread's latest groups are under way; other threads see the copies after a __syncthreads.
void wait_copies(int groups);

}  // namespace emulator

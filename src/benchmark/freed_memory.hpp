// What the C library does with memory that is freed. Open MPI allocates a temporary vector in each MPI_Allreduce: where freed memory is
// kept, that costs no page faults, which are half of its time for large vectors.
#pragma once

#include <cstddef>

namespace silosum {

/// glibc comes to keep freed blocks of up to this many bytes as a program frees such, unless it or its user sets any of the limits.
inline constexpr std::size_t largest_kept = (32UL << 20) - (1UL << 16);

/// Sets glibc's limits to where they end by themselves, so that no time depends on what was done before.
void keep_freed_blocks();
/// Of the whole program, so that they count for nobody.
void let_go_of_freed_blocks();

/// While it lives larger ones are kept, too. Then none is, and keep_freed_blocks() holds.
class KeptMemory {
public:
    KeptMemory();
    ~KeptMemory();
    KeptMemory(const KeptMemory&) = delete;
    KeptMemory& operator=(const KeptMemory&) = delete;
};

/// Leaves what is kept as a call before that needed so many bytes leaves it, in a program that makes the same one again and again.
void free_a_block(std::size_t bytes);

}  // namespace silosum

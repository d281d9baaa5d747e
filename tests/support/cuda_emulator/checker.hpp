// What the emulator tells the access checker. checker.cpp listens in the checked build, no_checker.cpp does nothing in the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "launch.hpp"
#include "memory_range.hpp"
#include "where.hpp"

namespace emulator::checker {

enum class Kind : std::uint8_t { read, write, atomic };

// Kernel code begins or stops to run: only its accesses are checked.
void resume();
void pause();

void launch_begins(MemoryRange arguments);
/// With the block's number and what exists of its dynamic shared memory.
void block_begins(unsigned block, const std::vector<SharedPiece>& pieces);
/// From now on accesses are those of this thread of the block, on this stack.
void thread_runs(unsigned thread, MemoryRange stack);
void block_barrier();
/// Of those lanes of a warp, out of those it has.
void warp_barrier(unsigned warp, std::uint32_t lanes, std::uint32_t all_lanes);

void allocated(const void* address, std::size_t bytes);
void freed(const void* address, std::size_t bytes);
/// A copy from the host, or a memset.
void written(const void* address, std::size_t bytes);
/// From device memory to device memory.
void copied(const void* to, const void* from, std::size_t bytes);

/// A number for a place, by which accesses are kept.
std::uint32_t site_of(Where where);
/// An asynchronous copy to here has begun: what is here must not be read before it has ended.
void uninitialise(const void* address, std::size_t bytes);
void access(const void* address, std::size_t bytes, Kind kind, std::uint32_t site);

}  // namespace emulator::checker

// The plain build: no accesses are checked.
#include "atomics.hpp"
#include "checker.hpp"
#include "emulator.hpp"

namespace emulator {

bool checks_accesses() {
    return false;
}
void atomic_access(const void*, std::size_t, Where) {}

namespace checker {

void resume() {}
void pause() {}
void launch_begins(MemoryRange) {}
void block_begins(unsigned, const std::vector<SharedPiece>&) {}
void thread_runs(unsigned, MemoryRange) {}
void block_barrier() {}
void warp_barrier(unsigned, std::uint32_t, std::uint32_t) {}
void allocated(const void*, std::size_t) {}
void freed(const void*, std::size_t) {}
void written(const void*, std::size_t) {}
void copied(const void*, const void*, std::size_t) {}
std::uint32_t site_of(Where) {
    return 0;
}
void uninitialise(const void*, std::size_t) {}
void access(const void*, std::size_t, Kind, std::uint32_t) {}

}  // namespace checker
}  // namespace emulator

// Shared memory of one block at a time: blocks run one after the other.
#include "shared_memory.hpp"

#include <sys/mman.h>

#include <cstring>
#include <new>

#include "launch.hpp"
#include "sanitizer.hpp"
#include "symbols.hpp"

namespace emulator {
namespace {

// Room for 227 KiB that a kernel may ask for, the static variables of a PTX file, and what lies behind.
constexpr std::size_t dynamic_room = 1024 * 1024;

char* map_dynamic() {
    void* memory = mmap(nullptr, dynamic_room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    // Aligned to 16 bytes and not to 32, so that a kernel that needs more meets it.
    return static_cast<char*>(memory) + 16;
}

}  // namespace

void* dynamic_shared() {
    static char* const memory = map_dynamic();
    return memory;
}

void prepare_shared_memory(std::size_t dynamic_bytes) {
#if !defined(__SANITIZE_ADDRESS__)
    for (const SharedVariable& variable : shared_variables())
        std::memset(const_cast<char*>(variable.range.begin), 0xff, variable.range.bytes);
#endif
    char* dynamic = static_cast<char*>(dynamic_shared());
    ASAN_UNPOISON_MEMORY_REGION(dynamic, dynamic_bytes);
    std::memset(dynamic, 0xff, dynamic_bytes);
    ASAN_POISON_MEMORY_REGION(dynamic + dynamic_bytes, dynamic_shared_range().bytes - dynamic_bytes);
}

MemoryRange static_shared_range() {
    const auto& variables = shared_variables();
    if (variables.empty()) return {};
    const char* begin = variables.front().range.begin;
    return {begin, static_cast<std::size_t>(variables.back().range.end() - begin)};
}

MemoryRange dynamic_shared_range() {
    return {static_cast<const char*>(dynamic_shared()), dynamic_room - 16};
}

}  // namespace emulator

// The arena and who has which part of it.
#include "device_memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>
#include <new>

#include "checker.hpp"
#include "sanitizer.hpp"
#include "where.hpp"

namespace emulator {
namespace {

constexpr std::size_t arena_bytes = std::size_t{16} << 30;  // of addresses; pages come when they are touched
constexpr std::size_t gap = 256;                            // behind each allocation, where nobody may write
constexpr std::size_t page = 4096;

struct Allocation {
    std::size_t bytes, room;  // room: with the gap
    int device;
    bool usable, retired;
};

struct Arena {
    char* begin;
    std::size_t top = 0;                            // nothing was ever allocated beyond
    std::map<const char*, Allocation> allocations;  // by address
    std::map<char*, std::size_t> holes;             // below top, never two beside each other
    int open = 0;                                   // DeviceAccess objects

    Arena() {
        void* memory = mmap(nullptr, arena_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        begin = static_cast<char*>(memory);
    }

    void protect(int access) const {
        if (top != 0) mprotect(begin, (top + page - 1) / page * page, access);
    }
};

Arena& arena() {
    static Arena& the_arena = *new Arena;  // never destroyed: destructors of the tests' statics may free
    return the_arena;
}

// A NaN for every type of float, and an index far out of bounds.
void fill(char* address, std::size_t bytes) {
    DeviceAccess access;
    ASAN_UNPOISON_MEMORY_REGION(address, bytes);
    std::memset(address, 0xff, bytes);
    ASAN_POISON_MEMORY_REGION(address, bytes);
}

char* find_room(std::size_t room) {
    Arena& own = arena();
    const auto hole = std::find_if(own.holes.begin(), own.holes.end(), [=](const auto& h) { return h.second >= room; });
    if (hole != own.holes.end()) {
        auto [address, bytes] = *hole;
        own.holes.erase(hole);
        if (bytes > room) own.holes.emplace(address + room, bytes - room);
        return address;
    }
    if (own.top + room > arena_bytes) return nullptr;
    char* address = own.begin + own.top;
    own.top += room;
    if (own.open > 0) own.protect(PROT_READ | PROT_WRITE);
    return address;
}

void add_hole(char* address, std::size_t bytes) {
    auto& holes = arena().holes;
    const auto after = holes.lower_bound(address);
    if (after != holes.end() && after->first == address + bytes) {
        bytes += after->second;
        holes.erase(after);
    }
    const auto next = holes.lower_bound(address);
    if (next != holes.begin() && std::prev(next)->first + std::prev(next)->second == address) {
        std::prev(next)->second += bytes;
    } else {
        holes.emplace(address, bytes);
    }
}

// The last allocation that begins at or before the address.
std::map<const char*, Allocation>::iterator at_or_before(const void* address) {
    auto& allocations = arena().allocations;
    const auto after = allocations.upper_bound(static_cast<const char*>(address));
    return after == allocations.begin() ? allocations.end() : std::prev(after);
}

std::map<const char*, Allocation>::iterator owner(const void* address) {
    const auto found = at_or_before(address);
    if (found == arena().allocations.end() || found->second.retired) return arena().allocations.end();
    // One past the end, too: a buffer of no bytes has an address.
    return static_cast<const char*>(address) < found->first + std::max<std::size_t>(found->second.bytes, 1) ? found
                                                                                                            : arena().allocations.end();
}

}  // namespace

MemoryRange device_arena() {
    return {arena().begin, arena_bytes};
}

void* allocate(int device, std::size_t bytes, bool later) {
    const std::size_t room = (bytes + gap - 1) / gap * gap + gap;
    char* address = find_room(room);
    if (address == nullptr) return nullptr;
    ASAN_POISON_MEMORY_REGION(address, room);
    arena().allocations[address] = {bytes, room, device, false, false};
    if (!later) begin_allocation(address);
    return address;
}

void begin_allocation(void* address) {
    Allocation& allocation = arena().allocations.at(static_cast<const char*>(address));
    allocation.usable = true;
    fill(static_cast<char*>(address), allocation.bytes);
    if (arena().open > 0) ASAN_UNPOISON_MEMORY_REGION(address, allocation.bytes);
    checker::allocated(address, allocation.bytes);
}

bool retire(void* address) {
    const auto found = arena().allocations.find(static_cast<const char*>(address));
    if (found == arena().allocations.end() || found->second.retired) return false;
    found->second.retired = true;
    return true;
}

void release(void* address) {
    const auto found = arena().allocations.find(static_cast<const char*>(address));
    if (found == arena().allocations.end()) return;
    const Allocation allocation = found->second;
    arena().allocations.erase(found);
    ASAN_POISON_MEMORY_REGION(address, allocation.bytes);
    checker::freed(address, allocation.bytes);
    add_hole(static_cast<char*>(address), allocation.room);
}

bool is_device_memory(const void* address, std::size_t bytes) {
    const auto found = owner(address);
    return found != arena().allocations.end() && static_cast<const char*>(address) + bytes <= found->first + found->second.bytes;
}

bool is_usable(const void* address) {
    const auto found = at_or_before(address);
    return found != arena().allocations.end() && found->second.usable &&
           static_cast<const char*>(address) < found->first + found->second.bytes;
}

int device_of(const void* address) {
    const auto found = owner(address);
    return found == arena().allocations.end() ? -1 : found->second.device;
}

std::size_t allocated_bytes(int device) {
    std::size_t total = 0;
    for (const auto& [address, allocation] : arena().allocations) {
        if (allocation.device == device) total += allocation.bytes;
    }
    return total;
}

std::string describe_device_address(const void* address) {
    const auto found = at_or_before(address);
    if (found == arena().allocations.end()) return "before all device buffers";
    const auto& [begin, allocation] = *found;
    const auto offset = static_cast<std::size_t>(static_cast<const char*>(address) - begin);
    if (offset >= allocation.room) return "outside every device buffer";
    return "byte " + std::to_string(offset) + " of a device buffer of " + std::to_string(allocation.bytes) + " bytes" +
           (allocation.usable ? "" : " whose cudaMallocAsync has not run yet");
}

DeviceAccess::DeviceAccess() {
    Arena& own = arena();
    if (own.open++ > 0) return;
    own.protect(PROT_READ | PROT_WRITE);
    for ([[maybe_unused]] const auto& [address, allocation] : own.allocations) {
        if (allocation.usable) ASAN_UNPOISON_MEMORY_REGION(address, allocation.bytes);
    }
}

DeviceAccess::~DeviceAccess() {
    Arena& own = arena();
    if (--own.open > 0) return;
    for ([[maybe_unused]] const auto& [address, allocation] : own.allocations) {
        ASAN_POISON_MEMORY_REGION(address, allocation.bytes);
    }
    own.protect(PROT_NONE);
}

}  // namespace emulator

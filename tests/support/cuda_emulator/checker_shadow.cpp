// The shadow's memory, made when its range is first touched; and the table of places.
#include "checker_shadow.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "checker.hpp"
#include "device_memory.hpp"
#include "shared_memory.hpp"
#include "symbols.hpp"

namespace emulator::checker {
namespace {

constexpr std::uint32_t told = 1u << 31;  // set in sites that are numbers of places, not offsets in the code

struct {
    std::vector<Where> places;
    std::map<std::pair<const char*, int>, std::uint32_t> numbers;
} sites;

template <class T>
T* reserve(std::size_t count) {
    void* memory = mmap(nullptr, count * sizeof(T) + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) fail("no room for the access checker's shadow memory");
    return static_cast<T*>(memory);
}

Shadow make_shadow(MemoryRange range, bool is_shared, std::string (*describe)(const void*)) {
    // Cells begin at a multiple of four, whatever the range does.
    const auto before = reinterpret_cast<std::uintptr_t>(range.begin) % 4;
    range = {range.begin - before, range.bytes + before};
    const std::size_t cells = range.bytes / 4 + 1;
    return {range, is_shared, reserve<Cell>(cells), reserve<std::uint8_t>(cells), describe};
}

template <class Change>
void change_state(const Shadow& shadow, const void* address, std::size_t bytes, Change change) {
    const char* p = static_cast<const char*>(address);
    for (const char* end = p + bytes; p < end;) {
        const auto offset = static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(p) & 3);
        const auto count = static_cast<unsigned>(std::min<std::ptrdiff_t>(4 - offset, end - p));
        std::uint8_t& state = shadow.state[shadow.cell_of(p)];
        state = static_cast<std::uint8_t>(change(state, ((1u << count) - 1) << offset));
        p += count;
    }
}

std::string describe_static(const void* address) {
    const SharedVariable* before = nullptr;
    for (const SharedVariable& variable : shared_variables()) {
        if (variable.range.begin <= address) before = &variable;
    }
    if (before == nullptr) return "before all shared variables";
    const auto offset = static_cast<std::size_t>(static_cast<const char*>(address) - before->range.begin);
    return "byte " + std::to_string(offset) + " of shared variable " + before->name + " of " + std::to_string(before->range.bytes) +
           " bytes";
}

std::vector<SharedPiece> pieces_of_block;
std::string describe_dynamic(const void* address) {
    const auto offset = static_cast<std::size_t>(static_cast<const char*>(address) - dynamic_shared_range().begin);
    const SharedPiece* before = nullptr;
    for (const SharedPiece& piece : pieces_of_block) {
        if (piece.offset <= offset) before = &piece;
    }
    if (before == nullptr) return "outside shared memory";
    return "byte " + std::to_string(offset - before->offset) + " of " + before->name + " of " + std::to_string(before->bytes) + " bytes";
}

Shadow make_static() {
    Shadow shadow = make_shadow(static_shared_range(), true, describe_static);
    for (const SharedVariable& variable : shared_variables()) {
        change_state(shadow, variable.range.begin, variable.range.bytes, [](unsigned state, unsigned bytes) { return state | bytes << 4; });
    }
    return shadow;
}

const Shadow& global() {
    static const Shadow shadow = make_shadow(device_arena(), false, describe_device_address);
    return shadow;
}
const Shadow& static_shared() {
    static const Shadow shadow = make_static();
    return shadow;
}
const Shadow& dynamic() {
    static const Shadow shadow = make_shadow(dynamic_shared_range(), true, describe_dynamic);
    return shadow;
}

}  // namespace

const Shadow* shadow_of(const void* address) {
    for (const Shadow* shadow : {&global(), &static_shared(), &dynamic()}) {
        if (shadow->range.contains(address)) return shadow;
    }
    return nullptr;
}

void begin_shared(const std::vector<SharedPiece>& pieces) {
    const Shadow& fixed = static_shared();
    for (std::size_t cell = 0; cell <= fixed.range.bytes / 4; ++cell) fixed.state[cell] &= 0xf0;
    const char* begin = dynamic_shared_range().begin;
    for (const SharedPiece& piece : pieces_of_block) {
        change_state(dynamic(), begin + piece.offset, piece.bytes, [](unsigned state, unsigned own) { return state & ~(own | own << 4); });
    }
    pieces_of_block = pieces;
    for (const SharedPiece& piece : pieces) {
        change_state(dynamic(), begin + piece.offset, piece.bytes, [](unsigned state, unsigned own) { return state | own << 4; });
    }
}

void allocated(const void* address, std::size_t bytes) {
    change_state(global(), address, bytes, [](unsigned state, unsigned own) { return (state & ~own) | own << 4; });
}
void freed(const void* address, std::size_t bytes) {
    change_state(global(), address, bytes, [](unsigned state, unsigned own) { return state & ~(own | own << 4); });
}
void written(const void* address, std::size_t bytes) {
    change_state(global(), address, bytes, [](unsigned state, unsigned own) { return state | own; });
}
void uninitialise(const void* address, std::size_t bytes) {
    if (const Shadow* shadow = shadow_of(address)) {
        change_state(*shadow, address, bytes, [](unsigned state, unsigned own) { return state & ~own; });
    }
}
void copied(const void* to, const void* from, std::size_t bytes) {
    const auto bit = [](const void* p) { return 1u << (reinterpret_cast<std::uintptr_t>(p) & 3); };
    for (std::size_t i = 0; i < bytes; ++i) {
        const char *target = static_cast<const char*>(to) + i, *source = static_cast<const char*>(from) + i;
        const bool initialised = (global().state[global().cell_of(source)] & bit(source)) != 0;
        std::uint8_t& state = global().state[global().cell_of(target)];
        state = static_cast<std::uint8_t>(initialised ? state | bit(target) : state & ~bit(target));
    }
}

std::uint32_t site_of(Where where) {
    const auto [found, is_new] = sites.numbers.try_emplace({where.file, where.line}, static_cast<std::uint32_t>(sites.places.size()));
    if (is_new) sites.places.push_back(where);
    return found->second | told;
}

std::string describe_site(std::uint32_t site) {
    return (site & told) != 0 ? place(sites.places[site & ~told]) : source_line(site);
}

}  // namespace emulator::checker

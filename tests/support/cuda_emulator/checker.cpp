// Checks every load and store of kernel code: races, uninitialised reads, accesses outside what the kernel may touch, misalignment. For
// every four bytes of device and shared memory it keeps who touched them last. Blocks and threads run one after the other, so one clock
// that advances at barriers orders all accesses: two conflict if no barrier that both threads took part in lies between.
#include "checker.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string>

#include "atomics.hpp"
#include "checker_shadow.hpp"
#include "emulator.hpp"
#include "ptx/constants.hpp"
#include "symbols.hpp"

extern "C" const char __executable_start[], _end[];

namespace emulator {

bool checks_accesses() {
    return true;
}
void atomic_access(const void* address, std::size_t bytes, Where where) {
    checker::access(address, bytes, checker::Kind::atomic, checker::site_of(where));
}

namespace checker {
namespace {

struct WarpClock {
    std::uint32_t last_full = 0;  // when all its lanes last met
    bool partial = false;         // lanes have met in part since then; [a][b]: until when a knows what b did
    std::array<std::array<std::uint32_t, 32>, 32> known{};
};

struct {
    bool on = false;
    std::uint32_t clock = 1, launch_began = 0, block_began = 0, last_barrier = 0;
    std::uint32_t block = 0;
    std::uint16_t thread = 0;
    MemoryRange arguments, stack;
    std::array<WarpClock, 32> warps{};
} now;

void tick() {
    if (++now.clock == 0) fail("the access checker's clock has run out: make the test smaller");
}

bool is_ordered(const Access& before, const Shadow& shadow) {
    if (before.time < now.launch_began || before.time == 0) return true;
    // Shared memory is another block's now. Of global memory no other block has a barrier in common with this one.
    if (before.time < now.block_began) return shadow.is_shared;
    if (before.thread == now.thread || before.time < now.last_barrier) return true;
    if (before.thread / 32 != now.thread / 32) return false;
    const WarpClock& warp = now.warps[now.thread / 32u];
    return before.time < warp.last_full || (warp.partial && before.time < warp.known[now.thread % 32u][before.thread % 32u]);
}

bool conflicts(const Access& before, const Access& access, const Shadow& shadow) {
    return (before.bytes & access.bytes) != 0 && !(before.atomic && access.atomic) && !is_ordered(before, shadow);
}

std::string who(const Access& access) {
    return "block " + std::to_string(access.block) + " thread " + std::to_string(access.thread) + " (" + describe_site(access.site) + ")";
}

/// Two readers in the block and one from another are kept: enough for a writer to meet one that it conflicts with.
void keep_read(Cell& cell, const Access& read) {
    if (cell.reads[0].time != 0 && cell.reads[0].time < now.block_began) {
        if (cell.reads[0].time >= now.launch_began) cell.foreign_read = cell.reads[0];
        cell.reads[0] = cell.reads[1] = {};
    }
    const auto is_other_warp = [&](const Access& access) { return access.time != 0 && access.thread / 32 != read.thread / 32; };
    if (cell.reads[0].thread != read.thread && cell.reads[0].time != 0 && (is_other_warp(cell.reads[0]) || !is_other_warp(cell.reads[1]))) {
        cell.reads[1] = cell.reads[0];
    }
    cell.reads[0] = read;
}

void check_cell(Cell& cell, std::uint8_t& state, const Access& access, Kind kind, const Shadow& shadow, const void* address) {
    const auto fail_here = [&](const std::string& what) { fail(what + shadow.describe(address)); };
    if (kind != Kind::write && (state & access.bytes) != access.bytes) fail_here("uninitialised memory is read by " + who(access) + ": ");
    if (conflicts(cell.write, access, shadow)) {
        fail_here("race: " + who(cell.write) + " writes, " + who(access) + (kind == Kind::read ? " reads" : " writes") + ": ");
    }
    if (kind == Kind::read) {
        keep_read(cell, access);
        return;
    }
    for (const Access& read : {cell.reads[0], cell.reads[1], cell.foreign_read}) {
        if (conflicts(read, access, shadow)) fail_here("race: " + who(read) + " reads, " + who(access) + " writes: ");
    }
    cell.write = access;
    state |= access.bytes;
}

// Not device memory: a thread's own variables, the kernel's arguments and constants of the program are all it may touch.
void check_other_memory(const char* p, const Access& access, Kind kind) {
    const bool constant = kind == Kind::read && ((p >= __executable_start && p < _end) || ptx::constants().contains(p));
    if (now.stack.contains(p) || (now.arguments.contains(p) && kind == Kind::read) || constant) return;
    fail("stray access: " + who(access) + " touches memory that is neither its own, nor shared, nor a device buffer");
}

}  // namespace

void resume() {
    now.on = true;
}
void pause() {
    now.on = false;
}

void launch_begins(MemoryRange arguments) {
    tick();
    now.launch_began = now.clock;
    now.arguments = arguments;
}

void block_begins(unsigned block, const std::vector<SharedPiece>& pieces) {
    tick();
    now.block_began = now.last_barrier = now.clock;
    now.block = block;
    for (WarpClock& warp : now.warps) {
        warp.last_full = now.clock;
        warp.partial = false;
    }
    begin_shared(pieces);
}

void thread_runs(unsigned thread, MemoryRange stack) {
    now.thread = static_cast<std::uint16_t>(thread);
    now.stack = stack;
}

void block_barrier() {
    tick();
    now.last_barrier = now.clock;
}

void warp_barrier(unsigned warp, std::uint32_t lanes, std::uint32_t all_lanes) {
    tick();
    WarpClock& own = now.warps[warp];
    if (lanes == all_lanes) {
        own.last_full = now.clock;
        own.partial = false;
        return;
    }
    if (!own.partial) own.known = {};
    own.partial = true;
    // What one of them knew, all of them know now.
    std::array<std::uint32_t, 32> together{};
    for (unsigned a = 0; a < 32; ++a) {
        if ((lanes >> a & 1) == 0) continue;
        for (unsigned b = 0; b < 32; ++b) together[b] = std::max(together[b], own.known[a][b]);
        together[a] = now.clock;
    }
    for (unsigned a = 0; a < 32; ++a) {
        if ((lanes >> a & 1) != 0) own.known[a] = together;
    }
}

void access(const void* address, std::size_t bytes, Kind kind, std::uint32_t site) {
    if (!now.on) return;
    now.on = false;
    const char* p = static_cast<const char*>(address);
    Access access{site, now.block, now.clock, now.thread, 0, kind == Kind::atomic};
    if (bytes <= 16 && reinterpret_cast<std::uintptr_t>(p) % std::bit_floor(bytes) != 0) {
        fail("misaligned: " + who(access) + " accesses " + std::to_string(bytes) + " bytes");
    }
    const Shadow* shadow = shadow_of(p);
    if (shadow == nullptr) {
        check_other_memory(p, access, kind);
        now.on = true;
        return;
    }
    for (const char* end = p + bytes; p < end;) {
        const std::size_t cell = shadow->cell_of(p);
        const auto offset = static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(p) & 3);
        const auto count = static_cast<unsigned>(std::min<std::ptrdiff_t>(4 - offset, end - p));
        access.bytes = static_cast<std::uint8_t>(((1u << count) - 1) << offset);
        std::uint8_t& state = shadow->state[cell];
        if ((state >> 4 & access.bytes) != access.bytes) {
            fail("out of bounds: " + who(access) + (kind == Kind::read ? " reads " : " writes ") + std::to_string(bytes) +
                 " bytes: " + shadow->describe(p));
        }
        check_cell(shadow->cells[cell], state, access, kind, *shadow, p);
        p += count;
    }
    now.on = true;
}

}  // namespace checker
}  // namespace emulator

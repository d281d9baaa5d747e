// The block that runs: what each of its threads waits for, and who runs next. scheduler.cpp runs it, barrier.cpp and warp.cpp let threads
// wait and wake them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fibre.hpp"
#include "turns.hpp"
#include "vector_types.hpp"
#include "warp_functions.hpp"
#include "where.hpp"

namespace emulator {

enum class State : std::uint8_t { fresh, ready, at_barrier, at_warp_operation, done };

struct WarpRequest {
    WarpOp operation = WarpOp::sync;
    unsigned mask = 0;
    std::uint64_t value = 0;
    unsigned operand = 0;
    int width = 32;
    Where where;
};

struct Thread {
    State state = State::fresh;
    unsigned number = 0;  // in the block
    uint3 index{};        // threadIdx
    Fibre* fibre = nullptr;
    Where barrier;        // where it waits for the block
    WarpRequest request;  // what it waits for in its warp
    std::uint64_t result = 0;
    [[nodiscard]] unsigned lane() const { return number % 32; }
    [[nodiscard]] unsigned warp() const { return number / 32; }
};

struct Warp {
    std::uint32_t lanes = 0, waiting = 0, returned = 0;
};

struct Block {
    std::vector<Thread> threads;
    std::vector<Warp> warps;
    Turns turns;  // of those that can run
    unsigned alive = 0, at_barrier = 0;
    int predicates = 0;  // true ones at the barrier
    std::string error;
    Thread* running = nullptr;
};

/// There is one, as blocks run one after the other.
Block& block();

/// The thread that calls; fails outside a kernel.
Thread& running_thread(const char* what);

/// The running thread waits: returns when it is among those that can run and its turn has come.
void wait_for_turn(Thread& thread);

/// Wakes the threads at the barrier if no other thread can still come.
void release_barrier_if_complete();

/// A thread that returns must have waited for its asynchronous copies.
void require_copies_waited_for(const Thread& thread);
/// After a kernel, also one that failed.
void forget_copies();

std::uint64_t random_below(std::uint64_t limit);

}  // namespace emulator

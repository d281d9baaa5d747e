// __syncthreads and its kin.
#include "block.hpp"
#include "checker.hpp"

namespace emulator {

void release_barrier_if_complete() {
    Block& own = block();
    if (own.at_barrier == 0 || own.at_barrier != own.alive) return;
    std::vector<unsigned> released;
    const Thread* first = nullptr;
    for (Thread& thread : own.threads) {
        if (thread.state != State::at_barrier) continue;
        if (first == nullptr) first = &thread;
        if (!thread.barrier.is_same_as(first->barrier) && own.error.empty()) {
            own.error = "threads of one block meet at different __syncthreads: thread " + std::to_string(first->number) + " at " +
                        place(first->barrier) + ", thread " + std::to_string(thread.number) + " at " + place(thread.barrier);
        }
        thread.state = State::ready;
        thread.result = static_cast<std::uint64_t>(own.predicates);
        released.push_back(thread.number);
    }
    // Stricter than the hardware, where threads that have returned no longer count: on purpose, as this is hardly ever meant.
    if (own.alive != own.threads.size() && own.error.empty()) {
        own.error = "__syncthreads at " + place(first->barrier) + " after " + std::to_string(own.threads.size() - own.alive) +
                    " threads of the block have returned";
    }
    own.at_barrier = 0;
    own.predicates = 0;
    checker::block_barrier();
    own.turns.add(released);
}

int sync_threads(int predicate, Where where) {
    checker::pause();
    Thread& self = running_thread("__syncthreads");
    self.barrier = where;
    self.state = State::at_barrier;
    block().predicates += predicate != 0 ? 1 : 0;
    ++block().at_barrier;
    release_barrier_if_complete();
    wait_for_turn(self);
    checker::resume();
    return static_cast<int>(self.result);
}

}  // namespace emulator

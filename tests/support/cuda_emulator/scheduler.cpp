// Every thread of a block is a fibre that runs until it waits or returns; the next one is the first of those that can run or, with a seed,
// any of them. A seed also shuffles the blocks.
#include "scheduler.hpp"

#include <algorithm>
#include <exception>
#include <random>
#include <utility>

#include "block.hpp"
#include "checker.hpp"
#include "cuda_emulator.hpp"
#include "shared_memory.hpp"

namespace emulator {
namespace {

void run_threads(Fibre& self);

// The emulated device, of which a process has one.
struct {
    std::uint64_t seed = 0;
    std::mt19937_64 random;
    const Launch* launch = nullptr;
    std::uint64_t blocks_begun = 0;  // of this launch
    Block block;
    // Never destroyed: the fibres of a program that exits inside a kernel would be in use.
    FibrePool& fibres = *new FibrePool(run_threads);
} device;

// The thread that is to run next; null if none can.
Thread* next_thread() {
    Block& own = device.block;
    return own.turns.empty() ? nullptr : &own.threads[own.turns.choose()];
}

void select(Thread& thread) {
    device.block.turns.take();
    device.block.running = &thread;
    threadIdx = thread.index;
    checker::thread_runs(thread.number, thread.fibre->stack());
}

void run_thread() {
    Thread& thread = *device.block.running;
    checker::resume();
    try {
        device.launch->run(device.launch->call.get());
    } catch (const std::exception& error) {
        checker::pause();
        if (device.block.error.empty()) device.block.error = std::string("a thread threw: ") + error.what();
    }
    checker::pause();
    require_copies_waited_for(thread);
    thread.state = State::done;
    device.block.warps[thread.warp()].returned |= 1u << thread.lane();
    --device.block.alive;
    release_barrier_if_complete();
}

// One thread after the other as long as none of them waits: no switches where a kernel has no barriers.
void run_threads(Fibre& self) {
    Block& own = device.block;
    for (;;) {
        run_thread();
        Thread* next = own.error.empty() ? next_thread() : nullptr;
        if (next != nullptr && next->state == State::fresh) {
            next->fibre = &self;
            select(*next);
        } else {
            device.fibres.give_back(self);
            self.leave();
        }
    }
}

std::string describe_deadlock() {
    std::string text = "deadlock";
    const auto first = [&](State state) {
        return std::find_if(device.block.threads.begin(), device.block.threads.end(), [=](const Thread& t) { return t.state == state; });
    };
    if (const auto t = first(State::at_barrier); t != device.block.threads.end()) {
        text += "; thread " + std::to_string(t->number) + " waits at __syncthreads " + place(t->barrier);
    }
    const auto one = first(State::at_warp_operation);
    if (one == device.block.threads.end()) return text;
    const auto describe = [](const Thread& t) {
        return "; thread " + std::to_string(t.number) + " waits at a warp operation " + place(t.request.where) +
               " for other lanes of its mask";
    };
    text += describe(*one);
    const auto other = std::find_if(one, device.block.threads.end(), [&](const Thread& t) {
        return t.state == State::at_warp_operation &&
               (t.request.mask != one->request.mask || !t.request.where.is_same_as(one->request.where));
    });
    if (other != device.block.threads.end()) text += describe(*other);
    return text;
}

// Both shuffled ways, from block to block, and from seed to seed where there is one block.
Turns::Way way_of_block() {
    if (device.seed == 0) return Turns::Way::in_order;
    return (device.seed + device.blocks_begun++) % 2 == 0 ? Turns::Way::at_random : Turns::Way::warp_by_warp;
}

void prepare_threads() {
    Block& own = device.block;
    const auto count = static_cast<unsigned>(own.threads.size());
    own.turns.begin(way_of_block(), device.random);
    own.alive = count;
    own.at_barrier = 0;
    own.predicates = 0;
    own.warps.assign((count + 31) / 32, {});
    std::vector<unsigned> order(count);
    for (unsigned number = 0; number < count; ++number) {
        Thread thread;
        thread.number = number;
        thread.index = {number % blockDim.x, number / blockDim.x % blockDim.y, number / (blockDim.x * blockDim.y)};
        own.threads[number] = thread;
        own.warps[thread.warp()].lanes |= 1u << thread.lane();
        order[number] = number;
    }
    own.turns.add(order);
}

void run_block() {
    Block& own = device.block;
    prepare_threads();
    for (Thread* thread = next_thread(); thread != nullptr && own.error.empty(); thread = next_thread()) {
        if (thread->state == State::fresh) thread->fibre = &device.fibres.take();
        select(*thread);
        thread->fibre->enter();
    }
    if (own.error.empty() && own.alive != 0) own.error = describe_deadlock();
    own.running = nullptr;
}

std::vector<unsigned> order_of_blocks(unsigned count) {
    std::vector<unsigned> order;
    if (device.seed == 0) return order;
    order.resize(count);
    for (unsigned i = 0; i < count; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), device.random);
    return order;
}

}  // namespace

void set_seed(std::uint64_t seed) {
    device.seed = seed;
    device.random.seed(seed);
}
std::uint64_t seed() {
    return device.seed;
}
std::uint64_t random_below(std::uint64_t limit) {
    return device.seed == 0 ? 0 : device.random() % limit;
}

Block& block() {
    return device.block;
}
bool kernel_is_running() {
    return device.launch != nullptr;
}

Thread& running_thread(const char* what) {
    if (device.block.running == nullptr) fail(std::string_view(what), " outside a kernel");
    return *device.block.running;
}

void wait_for_turn(Thread& thread) {
    thread.fibre->leave();
}

void stop(std::string&& message) {
    checker::pause();
    Thread* running = device.block.running;
    if (running == nullptr) throw Error(message);
    if (device.block.error.empty()) device.block.error = std::move(message);
    std::string().swap(message);
    running->fibre->leave();  // for good: run_grid begins all fibres again
    __builtin_unreachable();
}

void run_grid(const Launch& launch) {
    if (device.launch != nullptr) throw Error("a kernel launches a kernel at " + place(launch.where));
    device.launch = &launch;
    device.blocks_begun = 0;
    gridDim = launch.blocks;
    blockDim = launch.threads;
    Block& own = device.block;
    own.threads.resize(std::size_t{blockDim.x} * blockDim.y * blockDim.z);
    own.error.clear();
    const unsigned count = gridDim.x * gridDim.y * gridDim.z;
    const std::vector<unsigned> order = order_of_blocks(count);
    checker::launch_begins({static_cast<const char*>(launch.call.get()), launch.call_bytes});
    for (unsigned n = 0; n < count && own.error.empty(); ++n) {
        const unsigned number = order.empty() ? n : order[n];
        blockIdx = {number % gridDim.x, number / gridDim.x % gridDim.y, number / gridDim.x / gridDim.y};
        prepare_shared_memory(launch.shared_bytes);
        checker::block_begins(number, launch.shared_pieces);
        run_block();
    }
    device.launch = nullptr;
    forget_copies();
    if (own.error.empty()) return;
    device.fibres.restart_all();
    throw Error("kernel launched at " + place(launch.where) + ", block (" + std::to_string(blockIdx.x) + "," + std::to_string(blockIdx.y) +
                "," + std::to_string(blockIdx.z) + "), seed " + std::to_string(device.seed) + ": " + own.error);
}

bool Where::is_same_as(const Where& other) const {
    return line == other.line && (file == other.file || std::string_view(file) == other.file);
}

std::string place(const Where& where) {
    const std::string_view file = where.file;
    return std::string(file.substr(file.rfind('/') + 1)) + ":" + std::to_string(where.line);
}

}  // namespace emulator

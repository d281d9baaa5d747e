// Fibres on Boost.Context, with the annotations that let AddressSanitizer follow the change of stacks.
#include "fibre.hpp"

#include <sys/mman.h>

#include <new>
#include <utility>

#include "sanitizer.hpp"

namespace emulator {
namespace {

namespace context = boost::context;

constexpr std::size_t stack_bytes = 256 * 1024, guard_bytes = 4096;

#if defined(__SANITIZE_ADDRESS__)
struct {
    void* fake_stack = nullptr;
    const void* stack = nullptr;
    std::size_t bytes = 0;
} scheduler;
#endif

// The stack belongs to the Fibre, not to Boost.
struct KeepStack {
    void deallocate(context::stack_context&) noexcept {}
};

}  // namespace

Fibre::Fibre(void (*work)(Fibre&)) : work_(work) {
    void* memory = mmap(nullptr, guard_bytes + stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    mprotect(memory, guard_bytes, PROT_NONE);
    memory_ = static_cast<char*>(memory);
    restart();
}

Fibre::~Fibre() {
    new (&inside_) context::fiber();
    ASAN_UNPOISON_MEMORY_REGION(memory_, guard_bytes + stack_bytes);
    munmap(memory_, guard_bytes + stack_bytes);
}

void Fibre::restart() {
    // Boost's destructor would unwind a suspended stack by an exception, through frames that may not throw. The handle itself owns nothing
    // outside the stack.
    new (&inside_) context::fiber();
    ASAN_UNPOISON_MEMORY_REGION(memory_ + guard_bytes, stack_bytes);
    context::stack_context stack;
    stack.sp = memory_ + guard_bytes + stack_bytes;
    stack.size = stack_bytes;
    inside_ = context::fiber(std::allocator_arg, context::preallocated(stack.sp, stack.size, stack), KeepStack{},
                             [this](context::fiber&& outside) {
                                 outside_ = std::move(outside);
#if defined(__SANITIZE_ADDRESS__)
                                 __sanitizer_finish_switch_fiber(nullptr, &scheduler.stack, &scheduler.bytes);
#endif
                                 work_(*this);
                                 return std::move(outside_);
                             });
}

MemoryRange Fibre::stack() const {
    return {memory_ + guard_bytes, stack_bytes};
}

void Fibre::enter() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&scheduler.fake_stack, memory_ + guard_bytes, stack_bytes);
#endif
    inside_ = std::move(inside_).resume();
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(scheduler.fake_stack, nullptr, nullptr);
#endif
}

void Fibre::leave() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&fake_stack_, scheduler.stack, scheduler.bytes);
#endif
    outside_ = std::move(outside_).resume();
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake_stack_, &scheduler.stack, &scheduler.bytes);
#endif
}

Fibre& FibrePool::take() {
    if (idle_.empty()) {
        all_.push_back(std::make_unique<Fibre>(work_));
        return *all_.back();
    }
    Fibre& fibre = *idle_.back();
    idle_.pop_back();
    return fibre;
}

void FibrePool::restart_all() {
    idle_.clear();
    for (const auto& fibre : all_) {
        fibre->restart();
        idle_.push_back(fibre.get());
    }
}

}  // namespace emulator

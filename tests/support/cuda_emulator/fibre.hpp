// A stack and a place to go on. The scheduler enters a fibre, the fibre leaves to the scheduler; they never go elsewhere.
#pragma once

#include <boost/context/fiber.hpp>
#include <cstddef>
#include <memory>
#include <vector>

#include "memory_range.hpp"

namespace emulator {

class Fibre {
public:
    /// `work` is called on the fibre's stack at the first enter() and must never return.
    explicit Fibre(void (*work)(Fibre&));
    ~Fibre();
    Fibre(const Fibre&) = delete;
    Fibre& operator=(const Fibre&) = delete;

    void enter();
    void leave();
    /// Forgets what runs on the stack, without unwinding it, and begins again.
    void restart();
    [[nodiscard]] MemoryRange stack() const;

private:
    char* memory_ = nullptr;  // a page that nobody may touch, then the stack
    void (*work_)(Fibre&);
    boost::context::fiber inside_;   // where the fibre goes on
    boost::context::fiber outside_;  // where the scheduler goes on
    void* fake_stack_ = nullptr;     // AddressSanitizer's
};

/// Fibres are kept for the next thread that needs one: making them costs more than running a small kernel.
class FibrePool {
public:
    explicit FibrePool(void (*work)(Fibre&)) : work_(work) {}
    Fibre& take();
    void give_back(Fibre& fibre) { idle_.push_back(&fibre); }
    /// After a failed kernel: all fibres begin again.
    void restart_all();

private:
    void (*work_)(Fibre&);
    std::vector<std::unique_ptr<Fibre>> all_;
    std::vector<Fibre*> idle_;
};

}  // namespace emulator

// Wall and CPU seconds by phase of a round; the same names in metrics.jsonl, plan and the benchmarks.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "base/process.hpp"

namespace silosum {

struct PhaseTime {
    double wall = 0;
    double cpu = 0;

    PhaseTime& operator+=(const PhaseTime& other) {
        wall += other.wall;
        cpu += other.cpu;
        return *this;
    }
};

/// Times phases of one thread that follow each other closely. The clock of the CPU costs most of a microsecond, so it is asked only about
/// laps in which the thread may have stood still for long: the CPU time of a brief one is its wall time, where others had the core for some
/// of it too.
class Laps {
public:
    Laps() : wall_(wall_seconds()), cpu_(cpu_seconds()) {}
    /// Adds what has passed since the last call.
    void add_to(PhaseTime& phase) {
        const double now = wall_seconds();
        const double wall = now - wall_;
        wall_ = now;
        if (wall < brief) {
            cpu_ += wall;
            phase += {wall, wall};
            return;
        }
        const double cpu = std::max(cpu_, cpu_seconds());
        phase += {wall, cpu - cpu_};
        cpu_ = cpu;
    }

private:
    static constexpr double brief = 1e-4;  // seconds; schedulers that take a core away do so for longer
    double wall_;
    double cpu_;  // CPU time at wall_, as far as it is known
};

class PhaseClock {
public:
    /// Runs the action and adds its time to the phase.
    template <class Action>
    decltype(auto) measure(const std::string& phase, Action&& action) {
        const Stopwatch stopwatch(phases_[phase]);
        return std::forward<Action>(action)();
    }
    void add(const std::string& phase, const PhaseTime& time) { phases_[phase] += time; }
    [[nodiscard]] const std::map<std::string, PhaseTime>& phases() const { return phases_; }
    void clear() { phases_.clear(); }

private:
    class Stopwatch {
    public:
        explicit Stopwatch(PhaseTime& time) : time_(time), wall_(wall_seconds()), cpu_(cpu_seconds()) {}
        ~Stopwatch() { time_ += {wall_seconds() - wall_, cpu_seconds() - cpu_}; }
        Stopwatch(const Stopwatch&) = delete;
        Stopwatch& operator=(const Stopwatch&) = delete;

    private:
        PhaseTime& time_;
        double wall_;
        double cpu_;
    };

    std::map<std::string, PhaseTime> phases_;
};

}  // namespace silosum

// Times what all ranks do together.
#pragma once

#include <array>
#include <span>

#include "base/process.hpp"
#include "comm/collectives.hpp"
#include "comm/mpi.hpp"

namespace silosum {

class Stopwatch {
public:
    /// Collective. The communicator must outlive it.
    explicit Stopwatch(const Communicator& communicator) : communicator_(communicator), machine_(communicator.split_by_machine()) {}
    /// Collective. The second barrier is MPI's own: it lets ranks go at nearly the same moment.
    void start() {
        barrier(communicator_);
        mpi_check(MPI_Barrier(communicator_.handle()));
        start_ = wall_seconds();
    }
    /// Collective. Seconds from when the first rank of this machine set out until its last one was done, by the clock that they share:
    /// where ranks share cores, the time of one alone leaves out what it waited for a core. What follows takes no core from a rank that is
    /// not done.
    [[nodiscard]] double stop() const {
        std::array<double, 2> times{-start_, wall_seconds()};
        all_reduce_max(machine_, std::span<double>(times));
        return times[0] + times[1];
    }

private:
    const Communicator& communicator_;
    Communicator machine_;
    double start_ = 0;
};

}  // namespace silosum

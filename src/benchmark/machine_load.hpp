// What else runs on the machines while something is timed, and how ranks sit on their cores.
#pragma once

#include <cstddef>
#include <string>

#include "comm/mpi.hpp"

namespace silosum {

class MachineLoad {
public:
    /// Collective: ranks of a machine find each other.
    explicit MachineLoad(const Communicator& communicator);
    /// Collective. From here on.
    void begin();
    /// Collective. The share of a machine's time on its cores that others took since begin(), on the machine where it was largest; 0 where
    /// the system does not tell.
    [[nodiscard]] double share_of_others() const;
    /// Equal on all ranks: "4 ranks on 1 machine of 2 cores: 2 ranks a core; ranks are not pinned".
    [[nodiscard]] const std::string& placement() const { return placement_; }
    /// Cores that all ranks together can use at once.
    [[nodiscard]] double cores() const { return all_cores_; }
    /// Bytes of memory that nobody uses, for each rank of this machine.
    [[nodiscard]] std::size_t free_bytes_each() const;

private:
    [[nodiscard]] double own_seconds() const;

    const Communicator& communicator_;
    Communicator machine_;
    double cores_ = 1;
    double all_cores_ = 0;
    std::string placement_;
    double wall_ = 0;
    double busy_ = 0;
    double own_ = 0;
};

}  // namespace silosum

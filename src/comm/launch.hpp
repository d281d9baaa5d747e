// What the launcher says of the ranks it has started, beside what MPI made of them.
#pragma once

#include <string>

namespace silosum {

struct Launch {
    std::string by;        // "mpirun", "srun", "a job of SLURM"; empty: by nobody who says so
    int tasks = 0;         // processes that were started, or may be
    bool is_first = true;  // this process is the first of them
};

/// Read it before MPI starts, which may add to the environment.
[[nodiscard]] Launch launch_of_this_process();

/// Why these ranks cannot be a job, or nothing. An MPI library that does not know the launcher makes every process a job of its own, and
/// each would train everything.
[[nodiscard]] std::string problem_with(const Launch& launch, int ranks);

}  // namespace silosum

// The frame of verbs that run on all ranks of an MPI job.
#pragma once

#include <functional>

#include "comm/launch.hpp"
#include "comm/mpi.hpp"

namespace silosum {

/// Starts and ends MPI around the work, once it is sure that the ranks are what the launcher has started; deaths are watched. An error that
/// the ranks agreed on is printed once and ends all of them with its code; any other ends the job. Returns the exit code of the process.
[[nodiscard]] int in_mpi_job(const Launch& launch, const std::function<int(const Communicator& world)>& work);

}  // namespace silosum

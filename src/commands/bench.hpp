// silosum bench: what aggregation costs on this machine or cluster, beside MPI_Allreduce.
#pragma once

#include <string>
#include <vector>

namespace silosum {

/// Starts and ends MPI. Returns the exit code of the process.
[[nodiscard]] int run_bench(const std::vector<std::string>& arguments);

}  // namespace silosum

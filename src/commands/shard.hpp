// `silosum shard`: from IDX or CSV files to one HDF5 shard for each silo.
#pragma once

#include <string>
#include <vector>

namespace silosum {

/// Takes the arguments after the verb; returns the exit code.
int run_shard(const std::vector<std::string>& arguments);

}  // namespace silosum

// `silosum inspect`: what is in shards, and whether they can be used.
#pragma once

#include <string>
#include <vector>

namespace silosum {

/// Takes the arguments after the verb; returns the exit code: 3 when a shard has a problem.
int run_inspect(const std::vector<std::string>& arguments);

}  // namespace silosum

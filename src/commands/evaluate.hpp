// `silosum evaluate`: a model's metrics on shards, each and all together.
#pragma once

#include <string>
#include <vector>

namespace silosum {

/// Takes the arguments after the verb; returns the exit code.
int run_evaluate(const std::vector<std::string>& arguments);

}  // namespace silosum

// `silosum predict`: what a model says about every row of a shard.
#pragma once

#include <string>
#include <vector>

namespace silosum {

/// Takes the arguments after the verb; returns the exit code.
int run_predict(const std::vector<std::string>& arguments);

}  // namespace silosum

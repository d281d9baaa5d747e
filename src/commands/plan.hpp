// silosum plan CONFIG [--ranks N] [--section.key value ...]: what a run will need, and what is wrong with it, without training.
#pragma once

#include <string>
#include <vector>

namespace silosum {

int run_plan(const std::vector<std::string>& arguments);

}  // namespace silosum

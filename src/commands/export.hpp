// `silosum export`: a model in a format that others read.
#pragma once

#include <string>
#include <vector>

namespace silosum {

/// Takes the arguments after the verb; returns the exit code.
int run_export(const std::vector<std::string>& arguments);

}  // namespace silosum

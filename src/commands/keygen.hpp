// silosum keygen: a silo's signing key, and its entry for the roster.
#pragma once

#include <string>
#include <vector>

namespace silosum {

/// Arguments after the verb; returns the exit code.
int run_keygen(const std::vector<std::string>& arguments);

}  // namespace silosum

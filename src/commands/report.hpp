// `silosum report`: training runs, or benchmarks, as one page of HTML.
#pragma once

#include <string>
#include <vector>

namespace silosum {

/// Takes the arguments after the verb; returns the exit code.
int run_report(const std::vector<std::string>& arguments);

}  // namespace silosum

// silosum train CONFIG [--section.key value ...]: trains a model over the silos.
#pragma once

#include <string>
#include <vector>

namespace silosum {

/// Every rank of the job calls it with the same arguments; returns the same exit code on every rank.
int run_train(const std::vector<std::string>& arguments);
/// train with run.resume = auto.
int run_resume(const std::vector<std::string>& arguments);

}  // namespace silosum

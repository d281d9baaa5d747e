// silosum devices: the GPUs that training can use.
#pragma once

#include <string>
#include <vector>

namespace silosum {

[[nodiscard]] int run_devices(const std::vector<std::string>& arguments);

}  // namespace silosum

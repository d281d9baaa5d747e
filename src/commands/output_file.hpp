// Files that a verb writes where the user says.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace silosum {

/// Throws UsageError where `out` is one of the files that the verb reads (flag and path), holds a shard or a model, which are not
/// made again as easily as what the verb writes, or is a folder or a device.
void check_output(const std::filesystem::path& out, const std::vector<std::pair<std::string, std::filesystem::path>>& inputs);

}  // namespace silosum

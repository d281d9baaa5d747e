// Files that a verb writes where the user says.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace silosum {

/// flag: that names `out`. Throws UsageError where it is one of the files that the verb reads (flag and path), is a folder or a device, or
/// holds anything but what an earlier call has written; RuntimeError where no file can be made beside it. Before any work is done for it.
void check_output(const std::string& flag, const std::filesystem::path& out,
                  const std::vector<std::pair<std::string, std::filesystem::path>>& inputs);

}  // namespace silosum

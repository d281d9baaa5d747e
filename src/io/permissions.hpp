// Who can read a file.
#pragma once

#include <filesystem>

namespace silosum {

/// Whether every user of this machine can: the file is readable by others, and so is the way to it. False where the system does not tell;
/// lists of access rights beyond the mode are not looked at.
[[nodiscard]] bool is_readable_by_all(const std::filesystem::path& file);

}  // namespace silosum

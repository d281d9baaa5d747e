// Reading a whole file that may be compressed with gzip.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

namespace silosum {

/// The file's bytes, decompressed when it is a gzip file, whatever its name. DataError when it is missing, unreadable, cut or damaged.
[[nodiscard]] std::vector<char> read_plain_or_gzip(const std::filesystem::path& path);

}  // namespace silosum

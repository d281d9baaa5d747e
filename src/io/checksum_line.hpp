// A last line with the SHA-256 of all bytes before it. It tells a cut or changed file before a format's own reader sees it: HDF5
// (1.10 and later) can crash on one changed byte. HDF5 readers do not look behind the end that the file itself states.
#pragma once

#include <filesystem>

namespace silosum {

enum class Checksum { right, wrong, missing };

/// Appends the line to a closed file. RuntimeError where that fails.
void append_checksum_line(const std::filesystem::path& path);

/// Reads the whole file and compares; missing: the file does not end with such a line. DataError where the file cannot be read.
[[nodiscard]] Checksum verify_checksum_line(const std::filesystem::path& path);

}  // namespace silosum

// Writes gzip files for tests.
#pragma once

#include <filesystem>
#include <string>

#include <zlib.h>

namespace silosum {

inline void write_gzip(const std::filesystem::path& path, const std::string& bytes) {
    const gzFile file = gzopen(path.c_str(), "wb");
    gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(file);
}

}  // namespace silosum

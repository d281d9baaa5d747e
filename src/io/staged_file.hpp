// A copy of a file on a faster disk, for as long as it is read.
#pragma once

#include <filesystem>

namespace silosum {

class StagedFile {
public:
    /// Copies the file into the folder, which is made when missing, under a new name, for its user alone. RuntimeError, with the system's
    /// reason, where that fails.
    StagedFile(const std::filesystem::path& file, const std::filesystem::path& folder);
    ~StagedFile();
    StagedFile(const StagedFile&) = delete;
    StagedFile& operator=(const StagedFile&) = delete;
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

}  // namespace silosum

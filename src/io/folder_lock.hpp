// One program at a time in a folder.
#pragma once

#include <filesystem>

namespace silosum {

/// Held until it goes or the process ends, however it ends: nothing is left that would keep the next one out.
class FolderLock {
public:
    FolderLock() = default;
    /// Locks the file `.lock` in the folder, which it makes. UsageError, with what the holder wrote there, when another process has it;
    /// RuntimeError when the file cannot be made. Where the file system has no locks, as some parallel ones, it is not held.
    explicit FolderLock(const std::filesystem::path& folder);
    ~FolderLock();
    FolderLock(FolderLock&& other) noexcept;
    FolderLock& operator=(FolderLock&& other) noexcept;
    [[nodiscard]] bool is_held() const { return file_ >= 0; }
    FolderLock(const FolderLock&) = delete;
    FolderLock& operator=(const FolderLock&) = delete;

private:
    int file_ = -1;
};

}  // namespace silosum

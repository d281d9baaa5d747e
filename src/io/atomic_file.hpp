// Files that are whole or absent: written under a temporary name in the same folder, flushed to the disk, then renamed.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace silosum {

/// Use: write and close the file `temporary()`, then `commit()`. Without a commit the temporary file is removed and the target is as
/// before.
class AtomicFile {
public:
    explicit AtomicFile(std::filesystem::path target);
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    [[nodiscard]] const std::filesystem::path& temporary() const { return temporary_; }
    [[nodiscard]] const std::filesystem::path& target() const { return target_; }
    /// fsync, rename, fsync of the folder. RuntimeError naming the file and the system's reason on failure.
    void commit();

private:
    std::filesystem::path target_;
    std::filesystem::path temporary_;
    bool committed_ = false;
};

/// Replaces the file by these bytes, whole or not at all. RuntimeError on failure.
void write_file_atomically(const std::filesystem::path& target, std::span<const std::byte> bytes);
void write_file_atomically(const std::filesystem::path& target, std::string_view text);

/// Flushes a written file, or a folder after a rename in it, to the disk. RuntimeError on failure.
void sync_to_disk(const std::filesystem::path& file_or_folder);

}  // namespace silosum

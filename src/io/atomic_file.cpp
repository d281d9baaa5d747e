#include "io/atomic_file.hpp"

#include <cerrno>
#include <random>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/error.hpp"
#include "io/descriptor.hpp"

namespace silosum {

namespace {

std::string reason(int error) {
    return std::generic_category().message(error);
}

std::filesystem::path folder_of(const std::filesystem::path& file) {
    return file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
}

}  // namespace

void sync_to_disk(const std::filesystem::path& file_or_folder) {
    const Descriptor descriptor(file_or_folder, O_RDONLY);
    require<RuntimeError>(descriptor.is_open(), "cannot open {}: {}", file_or_folder.string(), reason(errno));
    // Some file systems cannot flush a folder (EINVAL); a rename there is as durable as it gets.
    const bool flushed = ::fsync(descriptor.number()) == 0 || errno == EINVAL;
    require<RuntimeError>(flushed, "cannot flush {} to the disk: {}", file_or_folder.string(), reason(errno));
}

AtomicFile::AtomicFile(std::filesystem::path target) : target_(std::move(target)) {
    // A name of its own keeps programs apart that write the same file: the last rename wins, each file is whole. Nobody can guess it, and
    // have put a link there.
    std::random_device dice;
    temporary_ = folder_of(target_) / fmt::format(".{}.{:08x}{:08x}.tmp", target_.filename().string(), dice(), dice());
}

AtomicFile::~AtomicFile() {
    if (!committed_) ::unlink(temporary_.c_str());
}

void AtomicFile::commit() {
    sync_to_disk(temporary_);
    const bool renamed = ::rename(temporary_.c_str(), target_.c_str()) == 0;
    require<RuntimeError>(renamed, "cannot rename {} to {}: {}", temporary_.string(), target_.string(), reason(errno));
    committed_ = true;
    sync_to_disk(folder_of(target_));
}

void write_file_atomically(const std::filesystem::path& target, std::span<const std::byte> bytes) {
    AtomicFile file(target);
    {
        Descriptor descriptor(file.temporary(), O_WRONLY | O_CREAT | O_EXCL);
        const bool is_written = descriptor.is_open() && descriptor.write(bytes) && descriptor.close();
        require<RuntimeError>(is_written, "cannot write {}: {}", target.string(), reason(errno));
    }
    file.commit();
}

void write_file_atomically(const std::filesystem::path& target, std::string_view text) {
    write_file_atomically(target, std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace silosum

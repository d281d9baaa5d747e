#include "io/folder_lock.hpp"

#include <array>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/process.hpp"

namespace silosum {

namespace {

std::string host_name() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "an unknown host";
}

std::string text_of(int file) {
    std::array<char, 400> text{};
    const ssize_t size = ::pread(file, text.data(), text.size(), 0);
    return {text.data(), static_cast<std::size_t>(size > 0 ? size : 0)};
}

}  // namespace

FolderLock::FolderLock(const std::filesystem::path& folder) {
    const auto path = folder / ".lock";
    file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    require<RuntimeError>(file_ >= 0, "cannot write {}: {}", path.string(), std::generic_category().message(errno));
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
        const int reason = errno;
        const std::string holder = text_of(file_);
        ::close(std::exchange(file_, -1));
        require(reason != EWOULDBLOCK, "{} is in use by {}; wait for it to end, or choose another folder", folder.string(),
                holder.empty() ? "another program" : holder);
        return;
    }
    const auto job = slurm_job();
    const std::string holder = fmt::format("process {} on {}{}", ::getpid(), host_name(), job ? ", job " + job->id : "");
    // For the message above only: a lock whose holder could not be written down is a lock.
    if (::ftruncate(file_, 0) == 0) (void)!::pwrite(file_, holder.data(), holder.size(), 0);
}

FolderLock::~FolderLock() {
    if (file_ >= 0) ::close(file_);
}

FolderLock::FolderLock(FolderLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

FolderLock& FolderLock::operator=(FolderLock&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
}

}  // namespace silosum

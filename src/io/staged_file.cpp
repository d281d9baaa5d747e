#include "io/staged_file.hpp"

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/error.hpp"

namespace silosum {

namespace {

// Between open files: a copy by name would take over who may read it, and where the name leads. False with errno.
bool copy_contents(int from, int to) {
    constexpr std::size_t piece = std::size_t{1} << 30;
    ssize_t copied = 0;
    do {
        copied = ::sendfile(to, from, nullptr, piece);
    } while (copied > 0 || (copied < 0 && errno == EINTR));
    return copied == 0;
}

// Makes `path`, which ends in XXXXXX, a file that was not there and that its user alone may read. False with errno.
bool copy_to_new(const std::filesystem::path& file, std::string& path) {
    const int from = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (from < 0) return false;
    const int to = ::mkostemp(path.data(), O_CLOEXEC);
    bool is_copied = to >= 0 && copy_contents(from, to);
    int error = errno;
    if (to >= 0 && ::close(to) != 0 && is_copied) {
        is_copied = false;
        error = errno;
    }
    ::close(from);
    if (to >= 0 && !is_copied) ::unlink(path.c_str());
    errno = error;
    return is_copied;
}

}  // namespace

StagedFile::StagedFile(const std::filesystem::path& file, const std::filesystem::path& folder) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    std::string path = folder / fmt::format("silosum-{}-XXXXXX", file.filename().string());
    if (!error && !copy_to_new(file, path)) error = std::error_code(errno, std::generic_category());
    if (error) {
        throw RuntimeError(fmt::format("data.stage: cannot copy {} to {}: {}; choose another folder, or none", file.string(),
                                       folder.string(), error.message()));
    }
    path_ = path;
}

StagedFile::~StagedFile() {
    std::error_code ignored;  // it only takes room
    std::filesystem::remove(path_, ignored);
}

}  // namespace silosum

#include "io/staged_file.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/error.hpp"
#include "io/descriptor.hpp"

namespace silosum {

namespace {

// Between open files: a copy by name would take over who may read it, and where the name leads. False with errno.
bool copy_contents(const Descriptor& from, Descriptor& to) {
    std::vector<std::byte> piece(std::size_t{1} << 20);
    while (true) {
        const ssize_t read = ::read(from.number(), piece.data(), piece.size());
        if (read == 0) return to.close();
        if (read < 0 && errno != EINTR) return false;
        if (read > 0 && !to.write(std::span(piece).first(static_cast<std::size_t>(read)))) return false;
    }
}

// Copies to a file that was not there, and that its user alone may read; mkostemp() gives `path` its last letters. False with errno.
bool copy_to_new(const std::filesystem::path& file, std::string& path) {
    const Descriptor from(file, O_RDONLY);
    if (!from.is_open()) return false;
    Descriptor to(::mkostemp(path.data(), O_CLOEXEC));
    if (!to.is_open()) return false;
    if (copy_contents(from, to)) return true;
    const int error = errno;
    ::unlink(path.c_str());
    errno = error;
    return false;
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

#include "io/staged_file.hpp"

#include <system_error>

#include <unistd.h>

#include <fmt/format.h>

#include "base/error.hpp"

namespace silosum {

StagedFile::StagedFile(const std::filesystem::path& file, const std::filesystem::path& folder)
    : path_(folder / fmt::format("silosum-{}-{}", ::getpid(), file.filename().string())) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (!error) std::filesystem::copy_file(file, path_, std::filesystem::copy_options::overwrite_existing, error);
    if (!error) return;
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
    throw RuntimeError(fmt::format("data.stage: cannot copy {} to {}: {}; choose another folder, or none", file.string(), folder.string(),
                                   error.message()));
}

StagedFile::~StagedFile() {
    std::error_code ignored;  // it only takes room, and a later job of this number writes over it
    std::filesystem::remove(path_, ignored);
}

}  // namespace silosum

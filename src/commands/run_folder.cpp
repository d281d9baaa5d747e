#include "commands/run_folder.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/version.hpp"
#include "io/atomic_file.hpp"

namespace silosum {

void RunFolder::prepare(const RunSettings& settings) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    require<RuntimeError>(!error, "cannot make the run folder {}: {}; choose another with --run.dir", path.string(), error.message());
    require<RuntimeError>(::access(path.c_str(), W_OK | X_OK) == 0,
                          "cannot write into the run folder {}: {}; choose another with --run.dir", path.string(), std::strerror(errno));
    lock_ = FolderLock(path);
    if (!lock_.is_held())
        fmt::print(stderr, "silosum: warning: the file system of {} has no locks: a second job there would not be noticed\n",
                   path.string());
    require(!std::filesystem::exists(config()) || settings.resume == "auto" || settings.overwrite,
            "{} holds an earlier run; choose another --run.dir, go on with it (--run.resume auto), or start anew (--run.overwrite true)",
            path.string());
}

void RunFolder::clear(const RunSettings& settings) const {
    if (settings.resume == "auto" || !settings.overwrite) return;
    for (const auto& old : {config(), metrics(), summary(), model(), best(), checkpoints()}) {
        std::error_code error;
        std::filesystem::remove_all(old, error);
        require<RuntimeError>(!error, "cannot remove {}: {}", old.string(), error.message());
    }
}

bool RunFolder::is_complete(std::uint64_t rounds, const std::string& stop_reason) const {
    std::ifstream stream(summary());
    const auto json = nlohmann::json::parse(stream, nullptr, false);
    return json.is_object() && json.value("rounds", nlohmann::json()) == rounds &&
           json.value("stop_reason", nlohmann::json()) == stop_reason && std::filesystem::exists(model());
}

void RunFolder::write_config(const RunConfig& config) const {
    write_file_atomically(this->config(), fmt::format("# The configuration of this run with every default filled in, by silosum {}.\n\n{}",
                                                      version, config.options.as_ini()));
}

}  // namespace silosum

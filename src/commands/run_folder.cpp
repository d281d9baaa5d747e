#include "commands/run_folder.hpp"

#include <system_error>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/version.hpp"
#include "io/atomic_file.hpp"

namespace silosum {

void RunFolder::prepare(const RunSettings& settings) const {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    require<RuntimeError>(!error, "cannot make the run folder {}: {}; choose another with --run.dir", path.string(), error.message());
    if (!std::filesystem::exists(config()) || settings.resume == "auto") return;
    require(settings.overwrite,
            "{} holds an earlier run; choose another --run.dir, go on with it (--run.resume auto), or start anew (--run.overwrite true)",
            path.string());
    for (const auto& old : {config(), metrics(), summary(), model(), best(), checkpoints()}) {
        std::filesystem::remove_all(old, error);
        require<RuntimeError>(!error, "cannot remove {}: {}", old.string(), error.message());
    }
}

void RunFolder::write_config(const RunConfig& config) const {
    write_file_atomically(this->config(), fmt::format("# The configuration of this run with every default filled in, by silosum {}.\n\n{}",
                                                      version, config.options.as_ini()));
}

}  // namespace silosum

#include "commands/run_folder.hpp"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <system_error>
#include <thread>

#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/process.hpp"
#include "base/version.hpp"
#include "io/atomic_file.hpp"

namespace silosum {

namespace {

// How every configuration that a run writes begins; those of users do not.
constexpr const char* first_words = "# The configuration of this run";

}  // namespace

bool RunFolder::holds_run() const {
    std::ifstream stream(config());
    std::string line;
    return std::getline(stream, line) && line.starts_with(first_words);
}

void RunFolder::take_over() {
    constexpr double longest_s = 10;  // in which the kernel takes back what a killed process had
    const double start = wall_seconds();
    for (;;) {
        try {
            lock_ = FolderLock(path);
            return;
        } catch (const UsageError&) {
            if (wall_seconds() - start > longest_s) throw;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

void RunFolder::prepare(const RunSettings& settings) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    require<RuntimeError>(!error, "cannot make the run folder {}: {}; choose another with --run.dir", path.string(), error.message());
    const int reason = ::access(path.c_str(), W_OK | X_OK) == 0 ? 0 : errno;
    require<RuntimeError>(reason == 0, "cannot write into the run folder {}: {}; choose another with --run.dir", path.string(),
                          std::strerror(reason));
    lock_ = FolderLock(path);
    if (!lock_.is_held())
        fmt::print(stderr, "silosum: warning: the file system of {} has no locks: a second job there would not be noticed\n",
                   path.string());
    remove_unfinished_files();
    const bool is_run = holds_run();
    for (const auto& file : {config(), metrics(), summary(), model(), best(), report(), checkpoints()}) {
        require(is_run || !std::filesystem::exists(file),
                "{} is there, but not from a run of silosum; choose another folder with --run.dir", file.string());
    }
    require(!is_run || settings.resume == "auto" || settings.overwrite,
            "{} holds an earlier run; choose another --run.dir, go on with it (--run.resume auto), or start anew (--run.overwrite true)",
            path.string());
}

// What a run that was killed while it wrote has left: see AtomicFile.
void RunFolder::remove_unfinished_files() const {
    std::error_code ignored;  // one that stays only takes room
    for (const auto& entry : std::filesystem::directory_iterator(path, ignored)) {
        const std::string name = entry.path().filename().string();
        for (const auto& file : {config(), metrics(), summary(), model(), best(), report()}) {
            const bool is_left = name.starts_with("." + file.filename().string() + ".") && name.ends_with(".tmp");
            if (is_left) std::filesystem::remove(entry.path(), ignored);
        }
    }
}

void RunFolder::check_unfinished(bool has_checkpoint) const {
    for (const auto& file : {summary(), model()}) {
        require(
            has_checkpoint || !std::filesystem::exists(file),
            "{} is of a run that ended, but its checkpoints are gone: there is nothing to go on from; choose another --run.dir, or start "
            "anew with --run.resume never --run.overwrite true",
            file.string());
    }
}

void RunFolder::clear(const RunSettings& settings, bool has_checkpoint) const {
    if (has_checkpoint || (settings.resume != "auto" && !settings.overwrite)) return;
    // The configuration last: it says that the rest is of a run.
    for (const auto& old : {metrics(), summary(), model(), best(), report(), checkpoints(), config()}) {
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
    write_file_atomically(this->config(), fmt::format("{} with every default filled in, by silosum {}.\n\n{}", first_words, version,
                                                      config.options.as_ini()));
}

}  // namespace silosum

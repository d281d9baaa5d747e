// The folder of a run: what is in it, and when it may be used.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "config/run_config.hpp"
#include "io/folder_lock.hpp"

namespace silosum {

class RunFolder {
public:
    std::filesystem::path path;

    [[nodiscard]] std::filesystem::path config() const { return path / "config.cfg"; }
    [[nodiscard]] std::filesystem::path metrics() const { return path / "metrics.jsonl"; }
    [[nodiscard]] std::filesystem::path summary() const { return path / "summary.json"; }
    [[nodiscard]] std::filesystem::path model() const { return path / "model.h5"; }
    [[nodiscard]] std::filesystem::path best() const { return path / "best.h5"; }
    [[nodiscard]] std::filesystem::path report() const { return path / "report.html"; }
    [[nodiscard]] std::filesystem::path checkpoints() const { return path / "checkpoints"; }

    /// For one rank, as all below. Makes the folder and keeps it until this object goes; refuses one that another job uses, that holds
    /// another run unless it is to be resumed or overwritten, or files of these names that no run wrote.
    void prepare(const RunSettings& settings);
    /// Keeps the folder after a rank that had prepared it and has died.
    void take_over();
    [[nodiscard]] bool is_kept() const { return lock_.is_held(); }
    /// Whether a run has written its configuration there.
    [[nodiscard]] bool holds_run() const;
    /// Where a run is to be resumed: refuses one that was finished but has no checkpoint, since starting anew would lose it.
    void check_unfinished(bool has_checkpoint) const;
    /// Removes what an earlier run left there, where it is to be overwritten or was never finished and starts anew.
    void clear(const RunSettings& settings, bool has_checkpoint) const;
    /// Whether model and summary are those of a run that ended after so many rounds, for that reason.
    [[nodiscard]] bool is_complete(std::uint64_t rounds, const std::string& stop_reason) const;
    /// Writes the resolved configuration.
    void write_config(const RunConfig& config) const;

private:
    void remove_unfinished_files() const;

    FolderLock lock_;
};

}  // namespace silosum

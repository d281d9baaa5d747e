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
    [[nodiscard]] std::filesystem::path checkpoints() const { return path / "checkpoints"; }

    /// For one rank, as all below. Makes the folder and keeps it until this object goes; refuses one that another job uses, or that holds
    /// another run unless it is to be resumed or overwritten.
    void prepare(const RunSettings& settings);
    /// Removes what an earlier run left there, where it is to be overwritten.
    void clear(const RunSettings& settings) const;
    /// Whether model and summary are those of a run that ended after so many rounds, for that reason.
    [[nodiscard]] bool is_complete(std::uint64_t rounds, const std::string& stop_reason) const;
    /// Writes the resolved configuration.
    void write_config(const RunConfig& config) const;

private:
    FolderLock lock_;
};

}  // namespace silosum

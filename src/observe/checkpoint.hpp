// Checkpoints: all that a run needs to go on with the same bits, keyed by silo and not by rank. A checkpoint is a folder
// checkpoints/round-NNNNNN whose manifest.json, written last, lists every file with its SHA-256; without it the folder does not count.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/options.hpp"
#include "federation/federation.hpp"
#include "observe/stopping.hpp"

namespace silosum {

struct CheckpointConfig {
    std::uint64_t every = 10;
    std::uint64_t keep = 2;

    void add_to(Options& options);
};

/// What must agree for one run to continue another.
struct RunIdentity {
    std::string configuration;  // RunConfig::identity()
    std::string layout;         // Layout::text()
    std::string isa;
    std::map<std::string, std::string> silos;  // fingerprint of the shard by name

    /// Empty when `other` may continue this run, else what differs, a line each.
    [[nodiscard]] std::vector<std::string> differences(const RunIdentity& other) const;
};

/// A checkpoint that was found and whose files are whole.
struct FoundCheckpoint {
    std::filesystem::path folder;
    std::uint64_t round = 0;
    nlohmann::json manifest;
};

/// The newest good checkpoint below `folder`, if any. What is damaged is passed over and told in `warnings`. One rank calls it.
[[nodiscard]] std::optional<FoundCheckpoint> find_checkpoint(const std::filesystem::path& folder, std::vector<std::string>& warnings);

/// Collective. Puts the federation and the stopping rule where the checkpoint left them. UsageError where the identity differs.
void restore_checkpoint(const FoundCheckpoint& found, const RunIdentity& identity, Federation& federation, Stopping& stopping);

/// Observer: saves every `checkpoint.every` rounds, and when the run ends or stops. Earlier ones stay good until a new one is whole.
class Checkpointer : public Observer {
public:
    Checkpointer(const CheckpointConfig& config, std::filesystem::path folder, RunIdentity identity, Federation& federation, const Stopping& stopping);
    void after_round(RoundReport& report) override;

private:
    void save(std::uint64_t round, const std::string& model_sha256);
    void remove_old() const;

    CheckpointConfig config_;
    std::filesystem::path folder_;
    RunIdentity identity_;
    Federation& federation_;
    const Stopping& stopping_;
};

}  // namespace silosum

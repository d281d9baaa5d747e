// Checkpoints: all that a run needs to go on with the same bits, keyed by silo and not by rank. A checkpoint is a folder
// checkpoints/round-NNNNNN whose manifest.json, written last, lists every file with its SHA-256 and ends with its own; without it the
// folder does not count.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/options.hpp"
#include "federation/federation.hpp"
#include "observe/run_identity.hpp"
#include "observe/stopping.hpp"

namespace silosum {

struct CheckpointConfig {
    std::uint64_t every = 10;
    std::uint64_t keep = 2;

    void add_to(Options& options);
};

/// A checkpoint that was found and whose files are whole.
struct FoundCheckpoint {
    std::filesystem::path folder;
    std::uint64_t round = 0;
    nlohmann::json manifest;
};

/// The newest good checkpoint below `folder`, if any was finished. Damaged ones are passed over and told in `warnings`; unfinished ones do
/// not count. One rank calls it. DataError when all that were finished are damaged.
[[nodiscard]] std::optional<FoundCheckpoint> find_checkpoint(const std::filesystem::path& folder, std::vector<std::string>& warnings);

/// Collective. Puts the federation and the stopping rule where the checkpoint left them. UsageError where the identity differs.
void restore_checkpoint(const FoundCheckpoint& found, const RunIdentity& identity, Federation& federation, Stopping& stopping);

/// Observer: saves every `checkpoint.every` rounds, and when the run ends or stops. Earlier ones stay good until a new one is whole.
class Checkpointer : public Observer {
public:
    Checkpointer(const CheckpointConfig& config, std::filesystem::path folder, RunIdentity identity, Federation& federation,
                 const Stopping& stopping);
    void after_round(RoundReport& report) override;
    /// Collective. Saves what the last round left, unless it is saved already. For when another has been begun and given up: that leaves
    /// the model as it was, but not the state that silos keep (local.state = keep). False where there is nothing of this run to save.
    bool save_last();
    [[nodiscard]] std::uint64_t last_round() const { return last_.round; }

    /// The folder of the last good checkpoint of this run; empty before the first.
    [[nodiscard]] const std::filesystem::path& last_good() const { return last_good_; }
    void set_last_good(std::filesystem::path folder) { last_good_ = std::move(folder); }

private:
    // What a manifest says of the round after which the checkpoint was made.
    struct Ended {
        std::uint64_t round = 0;
        std::string stop_reason;
        std::string model_sha256;  // on rank 0
    };
    void save();
    void write_files(const std::filesystem::path& target);
    void write_manifest(const std::filesystem::path& target, const nlohmann::json& files) const;
    void remove_old(std::uint64_t newest) const;

    CheckpointConfig config_;
    std::filesystem::path folder_;
    RunIdentity identity_;
    Federation& federation_;
    const Stopping& stopping_;
    std::filesystem::path last_good_;
    Ended last_;
    bool is_saved_ = false;  // last_
};

}  // namespace silosum

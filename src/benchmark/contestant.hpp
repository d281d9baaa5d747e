// Ways to add up vectors over ranks, to be timed side by side on the same buffers. What the sum must be is known: silo s gives
// m(s, i) * 2^-20 at coordinate i, small integers m by a formula, which no way may round. A vector that is longer than memory is summed
// part by part, each part as a sum of its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/buffer.hpp"
#include "base/phase_clock.hpp"
#include "comm/mpi.hpp"
#include "device/stream.hpp"

namespace silosum {

/// What is summed, equal on all ranks.
struct BenchmarkSetting {
    std::size_t parameters = 0;
    std::size_t part = 0;  // parameters that are in memory at a time; 0: all
    std::uint64_t ring_bits = 32;
    std::uint32_t silos = 1;  // in turn over the ranks; those beyond the ranks are virtual
    std::string graph = "auto";
    double dropouts = 0;  // share of silos that leave secure sums before they enter
    std::string cipher = "aes128-ctr";
    std::string integrity = "none";
    std::string transport = "auto";
    int ranks_per_node = 0;  // more ranks of a machine are taken as several nodes; 0: as many as there are
    std::uint64_t chunk_kib = 2048;
    std::uint64_t most_repetitions = 64;
    std::optional<Stream> gpu{};  // that no other rank uses: our sums are made there, over NCCL

    [[nodiscard]] std::size_t part_size() const { return part == 0 ? parameters : std::min(part, parameters); }
    [[nodiscard]] std::size_t parts() const { return (parameters + part_size() - 1) / part_size(); }
};
/// Sums of a contestant: more would give a model again that the ledgers know.
inline constexpr std::uint64_t most_sums = 8191;

/// Vectors that all contestants of a setting use in turn, of one part; where ranks read what silos give, these have one of their own.
struct BenchmarkVectors {
    explicit BenchmarkVectors(std::size_t part) : sent(part), received(part) {}
    Buffer<float> sent;
    Buffer<float> received;
};

class Contestant {
public:
    virtual ~Contestant() = default;
    /// Collective. One sum of the whole vector; seconds, without making what is given.
    [[nodiscard]] virtual double run() = 0;
    /// Coordinates of all results so far that are not what they must be, on this rank. Where none can be told: nothing.
    [[nodiscard]] virtual std::uint64_t wrong_words() const { return 0; }
    [[nodiscard]] virtual bool knows_its_sum() const { return true; }
    /// How words and the model travel, for people; empty for what does not choose.
    [[nodiscard]] virtual std::string transport() const { return ""; }
    /// What it has of its own of the vectors that are given, and should not count for it.
    [[nodiscard]] virtual std::size_t given_bytes() const { return 0; }
    /// Of the last sum, by phase. Empty where it has none.
    [[nodiscard]] virtual const std::map<std::string, PhaseTime>& phases() const;
    /// For secure sums: the graph and each silo's neighbours, "complete, 3".
    [[nodiscard]] virtual std::string graph() const { return ""; }
};

struct ContestantRow {
    std::string name;
    std::string help;
    bool has_ring = false;   // words of ring_bits: timed for each
    bool is_secure = false;  // needs three silos
    bool needs_gpu = false;  // BenchmarkSetting::gpu
    /// Collective. Throws the same AgreedError on all ranks where it cannot be: too few silos for a secure sum, say.
    std::unique_ptr<Contestant> (*make)(const Communicator& communicator, const BenchmarkSetting& setting, BenchmarkVectors& vectors);
};
/// The first is what the others are compared with.
[[nodiscard]] const std::vector<ContestantRow>& contestant_list();

}  // namespace silosum

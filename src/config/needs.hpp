// Memory and traffic of a run, foretold from its configuration and shards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "config/run_config.hpp"
#include "federation/census.hpp"

namespace silosum {

/// Bytes by what they are for.
struct Memory {
    std::vector<std::pair<std::string, std::size_t>> parts;

    void add(const std::string& what, std::size_t bytes) { parts.emplace_back(what, bytes); }
    [[nodiscard]] std::size_t total() const;
};

/// Of the largest rank.
struct Needs {
    Memory host;
    Memory gpu;  // of its share of a GPU, beside what CUDA and NCCL take themselves; empty where silos train on the processor
    std::uint64_t bytes_sent_per_round = 0;  // by one rank, the model's words and values; control messages are a few hundred bytes

    std::uint64_t bytes_sent_per_step = 0;  // by one rank to the others that train a silo with it
};

/// Memory of a silo's rows.
struct ShardBytes {
    std::size_t all = 0;
    std::size_t train = 0;
};
[[nodiscard]] ShardBytes bytes_of(const Shard& shard);

/// "6 ranks, 2 ranks each".
[[nodiscard]] std::string ranks_text(std::size_t ranks, std::uint64_t ranks_per_silo);

/// shards[i]: of silo i. program_bytes: what the program and MPI take before any data. on_gpus: whether silos train there.
[[nodiscard]] Needs needs_of(const RunConfig& config, const Census& census, const std::vector<ShardBytes>& shards,
                             std::size_t common_test_bytes, int ranks, std::size_t program_bytes, bool on_gpus);

}  // namespace silosum

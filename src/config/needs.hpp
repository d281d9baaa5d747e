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

/// Bytes by what they are for, largest rank.
struct Needs {
    std::vector<std::pair<std::string, std::size_t>> memory;
    std::uint64_t bytes_sent_per_round = 0;  // by one rank, the model's words and values; control messages are a few hundred bytes

    std::uint64_t bytes_sent_per_step = 0;  // by one rank to the others that train a silo with it

    [[nodiscard]] std::size_t total() const;
};

/// "6 ranks, 2 ranks each".
[[nodiscard]] std::string ranks_text(std::size_t ranks, std::uint64_t ranks_per_silo);

/// shard_bytes[i]: memory of silo i's rows. program_bytes: what the program and MPI take before any data.
[[nodiscard]] Needs needs_of(const RunConfig& config, const Census& census, const std::vector<std::size_t>& shard_bytes,
                             std::size_t common_test_bytes, int ranks, std::size_t program_bytes);

/// Bytes that the rows of a shard take in memory.
[[nodiscard]] std::size_t bytes_of(const Shard& shard);

}  // namespace silosum

// Contestants timed in turn, so that a busy machine hurts them alike.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "benchmark/contestant.hpp"
#include "benchmark/machine_load.hpp"

namespace silosum {

/// Repetitions of which uncertainty_of_median() has something to say.
inline constexpr std::uint64_t fewest_repetitions = 6;

struct RaceRules {
    std::uint64_t most_repetitions = 30;
    double seconds = 20;      // after which a setting gets no more repetitions than the fewest
    double narrow = 0.03;     // repeated until all medians are known so well, by uncertainty_of_median()
    double unsteady = 0.10;   // a median that is not even known so well at the end is marked
    double disturbed = 0.05;  // and so is everything where others took so much of the cores
};

/// One way of one setting, equal on all ranks.
struct BenchmarkLine {
    std::string exchange;
    std::uint64_t ring_bits = 0;  // 0: it has none
    BenchmarkSetting setting;
    std::string graph{};
    std::string transport{};  // how its words and model travelled; empty for what does not choose
    std::uint64_t repetitions = 0;
    // Seconds of the slowest machine: the fastest and the middle repetition; the 99th percentile is over all machines and repetitions.
    double least_s = 0;
    double median_s = 0;
    double p99_s = 0;
    double of_allreduce = 0;        // its median over that of the first contestant
    double of_nccl_allreduce = 0;   // and over that of nccl-allreduce; 0 where that was not timed
    std::uint64_t extra_bytes = 0;  // of the rank that took most memory for it beside the vectors, what a node shares counted on each
    std::uint64_t wrong_words = 0;  // of all ranks and repetitions
    bool knows_its_sum = true;
    std::map<std::string, double> phases{};    // CPU seconds of all ranks over the cores in use, of the middle repetition by phase
    std::map<std::string, double> of_limit{};  // least_seconds() over those, where limits were measured
    std::string note{};                        // why it is not to be trusted, or why there is none
    bool is_valid = true;

    [[nodiscard]] double bytes() const { return 4.0 * static_cast<double>(setting.parameters); }
    /// As nccl-tests have them: bytes of the vector over the time, and times 2 (ranks - 1) / ranks: what a link must carry at least.
    [[nodiscard]] double algorithm_bandwidth() const { return median_s > 0 ? bytes() / median_s : 0; }
    [[nodiscard]] double bus_bandwidth(int ranks) const { return algorithm_bandwidth() * 2 * (ranks - 1) / ranks; }
    [[nodiscard]] nlohmann::json to_json(int ranks) const;
};

/// Collective. The rows named, and the first row with them; one line each, those with a ring once for each number of bits. A row that
/// cannot be made for the setting gives a line that says why.
[[nodiscard]] std::vector<BenchmarkLine> race(const Communicator& communicator, MachineLoad& load, const std::vector<std::string>& rows,
                                              const std::vector<std::uint64_t>& rings, const BenchmarkSetting& setting,
                                              const RaceRules& rules);

/// Bytes that a rank needs for all of them at once, roughly.
[[nodiscard]] std::uint64_t bytes_of_race(const BenchmarkSetting& setting, int ranks, std::size_t contestants);

}  // namespace silosum

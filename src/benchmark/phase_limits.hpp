// What the phases of a round cannot do without, and so how fast they could be on a machine: the larger of the times that memory, and
// that ciphers, hashes and tags take by themselves, as these can overlap. A phase that lives on meetings, messages, keys or chunks in the
// caches (wait, wire, publish, keys, agree) has no limit here.
#pragma once

#include <map>
#include <string>

#include "benchmark/machine_limits.hpp"
#include "benchmark/round_work.hpp"

namespace silosum {

/// Bytes, of one machine, counted so that no way of doing the same needs fewer.
struct PhaseNeeds {
    // Vectors that pass through memory: silos' models each time they are looked at, the global model once for ranks that look at it
    // together, the words of several silos on a rank, sums and means. Not chunks on their way, which fit the caches.
    double read = 0;
    double written = 0;
    double streamed = 0;
    double hashed = 0;
    double tagged = 0;
};

/// By phase; those that have none are left out.
[[nodiscard]] std::map<std::string, PhaseNeeds> phase_needs_of(const RoundShape& shape);

/// Seconds that each phase takes at least, as CPU seconds over the cores in use. Memory counts only where the round's vectors pass through
/// it.
[[nodiscard]] std::map<std::string, double> least_seconds(const RoundShape& shape, const MachineLimits& limits);

/// least_seconds() over what was measured, for the phases that have both. Sums of several parts: as often.
[[nodiscard]] std::map<std::string, double> shares_of_limits(const std::map<std::string, double>& measured, const RoundShape& shape,
                                                             const MachineLimits& limits, double parts);

}  // namespace silosum

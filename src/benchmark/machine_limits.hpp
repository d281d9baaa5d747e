// How fast a machine can be at what sums are made of: moving bytes through memory, key streams, hashes, tags. Measured
// within half a second, on all cores that ranks use at once, so that cores which share a bus are seen sharing it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "comm/mpi.hpp"

namespace silosum {

/// Bytes a second, the best of some turns, so that what is timed later should not beat them. Equal on all ranks.
struct MachineLimits {
    // Of a machine, all its cores together, in vectors larger than the caches.
    double memory_reads = 0;
    double memory_writes = 0;
    double memory_copies = 0;  // bytes read and bytes written
    // Of a core, while the others do the same.
    double stream = 0;  // key stream put on words in the first-level cache
    double hash = 0;    // SHA-256, as of models
    double tag = 0;     // of an update for the ledger
    double machines = 1;
    double cores = 1;         // of all machines, in use
    double cached_bytes = 0;  // that the last-level caches of a machine hold

    /// Whether a vector of so many bytes has to pass through memory: one that is smaller may stay in the caches from phase to phase.
    [[nodiscard]] bool passes_memory(double bytes) const { return bytes >= 2 * cached_bytes; }
    [[nodiscard]] nlohmann::json to_json() const;
};

/// Of all caches of the highest level of this machine; 32 MiB where the system does not tell.
[[nodiscard]] double last_level_cache_bytes();

/// Collective. cipher: as of exchange.cipher. On one rank a core; the others wait.
[[nodiscard]] MachineLimits measure_limits(const Communicator& communicator, const std::string& cipher);

/// How fast memory is just now: where several machines share one, as virtual ones do, that changes while nobody is seen at work.
class MemoryProbe {
public:
    /// Collective, as now(). The communicator must outlive it.
    explicit MemoryProbe(const Communicator& communicator);
    ~MemoryProbe();
    MemoryProbe(const MemoryProbe&) = delete;
    MemoryProbe& operator=(const MemoryProbe&) = delete;

    /// Bytes a second that the memory of the mean machine lets the cores in use read, all at once; equal on all ranks. Some 20 ms.
    [[nodiscard]] double now();

private:
    struct State;
    const Communicator& communicator_;
    std::unique_ptr<State> state_;
};

/// "limits of this machine: memory reads 38.0 GB/s, ..."
[[nodiscard]] std::string text_of(const MachineLimits& limits, const std::string& cipher);

}  // namespace silosum

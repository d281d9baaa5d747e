// What the operating system knows of this process: clocks, memory, signals to stop, whether a person watches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace silosum {

[[nodiscard]] double wall_seconds();  // monotonic, from an arbitrary start
[[nodiscard]] double cpu_seconds();   // of the whole process, all threads

/// Resident memory now and at its highest, in bytes; 0 where the system does not tell.
[[nodiscard]] std::size_t resident_bytes();
[[nodiscard]] std::size_t peak_resident_bytes();
/// From now on the peak is that of what follows, where the system can forget one (Linux: proc(5), clear_refs).
void forget_peak_resident_bytes();

/// From now on SIGTERM, SIGINT and SIGUSR1 only set a flag; a second SIGINT or SIGTERM ends the process as usual.
void watch_stop_signals();

/// From now on the process leaves no core dump: keys, updates and rows would be in it.
void keep_memory_private();
/// The signal that asked to stop, or 0.
[[nodiscard]] int stop_signal();
/// How long after such a signal work may still go on: until then it is better to end it than to lose it.
void set_grace(double seconds);
/// A signal has asked to stop, and the grace is over.
[[nodiscard]] bool is_grace_over();

/// From now on files that this process makes are for its user alone.
void keep_files_private();

/// The job of SLURM that this process is part of.
struct SlurmJob {
    std::string id;
    std::uint64_t restarts = 0;  // how often SLURM has put it back into its queue
};
[[nodiscard]] std::optional<SlurmJob> slurm_job();

/// Whether standard output ends on a terminal, also when it passes through mpirun, which gives every rank a pseudo-terminal of its own.
[[nodiscard]] bool output_is_watched();

}  // namespace silosum

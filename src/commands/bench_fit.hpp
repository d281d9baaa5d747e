// silosum bench --fit FILE: what the machine's rates are, from a short sweep over some of the job's ranks and then more.
#pragma once

#include <string>

#include "benchmark/race.hpp"
#include "comm/mpi.hpp"

namespace silosum {

/// Collective over the job. Times a fixed list of rounds on 1, 2, 4, ... and all ranks, fits the rates to them, says how well the rounds of
/// most ranks are foretold by those of fewer, and writes the fit (docs/formats.md). largest_bytes: of the longest vector.
/// with_disturbed: rounds that are not valid count by their CPU time. UsageError where too few are left.
int bench_fit(const Communicator& world, const std::string& file, const RaceRules& rules, std::uint64_t largest_bytes, bool with_disturbed);

}  // namespace silosum

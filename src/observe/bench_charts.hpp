// The curves of a benchmark's report: time, bandwidth and ratios by size and by ranks, phases as bars that stand on each other.
#pragma once

#include <string>
#include <vector>

#include "observe/bench_record.hpp"

namespace silosum {

/// Headings and charts, as HTML: by ranks where there are several numbers of them, by size where there are several sizes. What is shown
/// first is the largest; the others are folded.
[[nodiscard]] std::string bench_charts(const std::vector<BenchRecord>& records);

/// "16 Mi": bytes in few letters.
[[nodiscard]] std::string short_bytes(double bytes);

}  // namespace silosum

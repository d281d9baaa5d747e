// One page of HTML about files of `silosum bench`: curves by size and by ranks, phases, and every line in tables.
#pragma once

#include <string>
#include <vector>

#include "observe/bench_record.hpp"

namespace silosum {

/// The page. At least one record; their names differ. The same records give the same bytes.
[[nodiscard]] std::string bench_report(const std::vector<BenchRecord>& records);

}  // namespace silosum

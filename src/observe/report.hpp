// One page of HTML about training runs: curves, bytes, times, configuration, hashes; several runs are laid over each other.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "observe/run_record.hpp"

namespace silosum {

/// Stands in the second line of every report.
inline constexpr std::string_view report_format = "silosum-report 1";

/// The page. At least one run; their names differ. The same runs give the same bytes.
[[nodiscard]] std::string report_of(const std::vector<RunRecord>& runs);

}  // namespace silosum

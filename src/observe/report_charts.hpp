// The curves of a report: from the records of runs to charts.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "observe/run_record.hpp"

namespace silosum {

/// All charts, as HTML. With several runs each is a line of its own in every chart.
[[nodiscard]] std::string charts_of(const std::vector<RunRecord>& runs);

/// Splits that the run has measured, in the order in which they are shown: "test", "validation", "common_test".
[[nodiscard]] std::vector<std::string> measured_splits(const RunRecord& run);
/// "/test/overall/": where a round keeps the metrics of all rows of the split.
[[nodiscard]] std::string overall_of(const std::string& split);
/// The metric by which the run's task is judged: "accuracy", or "rmse" of a regression.
[[nodiscard]] std::string main_metric(const RunRecord& run);
/// "common test" for "common_test", and so on: names of keys as words.
[[nodiscard]] std::string in_words(std::string key);
/// In the order in which phases happen, those that nobody knows last; also the number of a phase's colour, the same in every report.
[[nodiscard]] std::size_t place_of_phase(const std::string& phase);
/// Phases of the runs' rounds: those that we know in the order in which they happen, then others.
[[nodiscard]] std::vector<std::string> phases_of(const std::vector<RunRecord>& runs);

}  // namespace silosum

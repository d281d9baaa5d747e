// Lines of `silosum bench` for people and for spreadsheets.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "benchmark/race.hpp"

namespace silosum {

void print_head();
/// ranks: of the job. With phases these follow, and always the transport where it was not the one that was wanted.
void print_line(const BenchmarkLine& line, int ranks, bool with_phases);
/// lines: as BenchmarkLine::to_json() has them. A row a line, below one of names.
[[nodiscard]] std::string csv_of(const nlohmann::json& lines);

}  // namespace silosum

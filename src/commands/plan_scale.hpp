// silosum plan --fit FILE: what a round of the exchange takes on machines and ranks that are not there, from the rates of `bench --fit`.
#pragma once

#include <string>
#include <vector>

namespace silosum {

/// --fit FILE --parameters N --ranks N --silos N ...: time and memory by phase with intervals, or with --simulate rounds played through.
/// hosts_several: some rank hosts more than one silo, though not all take part.
int plan_scale(const std::vector<std::string>& arguments, bool hosts_several = false);

/// The flags of plan_scale() that stand among those of a configuration, taken out of these; "" where --fit is not among them.
[[nodiscard]] std::vector<std::string> take_scale_flags(std::vector<std::string>& flags);

}  // namespace silosum

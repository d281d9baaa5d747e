// silosum plan --fit FILE: what a round of the exchange takes on machines and ranks that are not there, from the rates of `bench --fit`.
#pragma once

#include <string>
#include <vector>

namespace silosum {

/// What flags do not say of a round that a configuration describes.
struct ConfiguredRound {
    bool hosts_several = false;     // some rank hosts more than one silo, though not all take part
    bool has_shown_memory = false;  // of just this round
};

/// --fit FILE --parameters N --ranks N --silos N ...: time by phase with intervals and memory of a rank, and with --simulate rounds played
/// through.
int plan_scale(const std::vector<std::string>& arguments, const ConfiguredRound* configured = nullptr);

/// The flags of plan_scale() that stand among those of a configuration, taken out of these; "" where --fit is not among them.
[[nodiscard]] std::vector<std::string> take_scale_flags(std::vector<std::string>& flags);

}  // namespace silosum

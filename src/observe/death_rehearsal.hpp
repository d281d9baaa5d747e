// Ranks that kill themselves as told beforehand: what the others do then can be tried at every step of a round.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "comm/watch.hpp"
#include "round/observer.hpp"

namespace silosum {

/// "ROUND:RANK:WAIT": in that round, or in the work that is due before it, the rank is killed when it would wait for others for the
/// WAIT-th time. Every step at which ranks need each other is such a wait.
struct RehearsedDeath {
    std::uint64_t round = 0;
    int rank = 0;
    std::size_t wait = 0;
};
/// UsageError for a text that is none.
[[nodiscard]] RehearsedDeath rehearsed_death_from(const std::string& text);

/// Last of the observers, as a round begins where the one before ends.
class DeathRehearsal : public Observer {
public:
    /// first: the round that is trained first. The watch must outlive it.
    DeathRehearsal(Watch& watch, const std::vector<std::string>& deaths, std::uint64_t first);
    void after_round(RoundReport& report) override { begin(report.round.number + 1); }

private:
    void begin(std::uint64_t round);

    Watch& watch_;
    std::vector<RehearsedDeath> deaths_;
};

}  // namespace silosum

// Observers look at a round after it is done: they measure, save, show, and may ask to stop. They never change the model.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "base/phase_clock.hpp"
#include "round/round.hpp"
#include "round/update.hpp"

namespace silosum {

/// What is known of a finished round. Observers run in a fixed order on every rank and add to it.
struct RoundReport {
    const Round& round;
    const Aggregate& aggregate;
    PhaseClock& clock;
    /// The line of metrics.jsonl; complete on rank 0 only.
    nlohmann::ordered_json record;
    /// Not empty: training ends after this round, and why. Equal on all ranks.
    std::string stop_reason;
    /// No round follows, because it is the last or because of stop_reason as far as it is known.
    [[nodiscard]] bool is_final() const { return round.is_last() || !stop_reason.empty(); }
};

class Observer {
public:
    virtual ~Observer() = default;
    /// Called on all ranks once a round, in the same order; may communicate.
    virtual void after_round(RoundReport& report) = 0;
};

}  // namespace silosum

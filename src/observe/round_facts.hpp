// The facts of a round that need no measuring: participants, losses in training, bytes, the hash of the model.
#pragma once

#include "federation/federation.hpp"

namespace silosum {

/// First of the observers: begins the record of metrics.jsonl.
class RoundFacts : public Observer {
public:
    explicit RoundFacts(Federation& federation) : federation_(federation) {}
    void after_round(RoundReport& report) override;

    /// Rounds of this start in which updates were limited to the range, and how many coordinates were. Equal on all ranks.
    [[nodiscard]] std::uint64_t clipped_rounds() const { return clipped_rounds_; }
    [[nodiscard]] std::uint64_t clipped() const { return clipped_; }

private:
    Federation& federation_;
    std::uint64_t last_counted_ = 0;  // a round may be looked at again
    std::uint64_t clipped_rounds_ = 0;
    std::uint64_t clipped_ = 0;
};

}  // namespace silosum

// The facts of a round that need no measuring: participants, losses in training, bytes, the hash of the model.
#pragma once

#include "federation/federation.hpp"

namespace silosum {

/// First of the observers: begins the record of metrics.jsonl.
class RoundFacts : public Observer {
public:
    explicit RoundFacts(Federation& federation) : federation_(federation) {}
    void after_round(RoundReport& report) override;

private:
    Federation& federation_;
};

}  // namespace silosum

// The parts of a running federation, as one rank sees them, and the loop over them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "algorithms/algorithm.hpp"
#include "base/phase_clock.hpp"
#include "comm/mpi.hpp"
#include "comm/rank_groups.hpp"
#include "exchange/exchange.hpp"
#include "exchange/sums.hpp"
#include "federation/census.hpp"
#include "federation/group_training.hpp"
#include "federation/selection.hpp"
#include "federation/silo.hpp"
#include "model/parameters.hpp"
#include "round/observer.hpp"
#include "round/round.hpp"

namespace silosum {

struct Federation {
    const Communicator& world;
    std::unique_ptr<RankGroups> ranks;        // which of them host silos together
    Census census;                            // all silos
    std::vector<Silo> silos;                  // those that this rank hosts, alone or with its group, ascending ids
    std::unique_ptr<GroupTraining> training;  // where a group trains silos together
    Trainer trainer;                          // the network and buffers in which they take turns
    Parameters global;                        // the whole model, the same on every rank between rounds, in the memory of the exchange
    Selection selection;
    std::unique_ptr<SecureGroup> group;  // where sums are secure
    std::unique_ptr<Sums> sums;          // of metrics
    std::unique_ptr<Exchange> exchange;
    std::unique_ptr<Algorithm> algorithm;
    std::vector<std::unique_ptr<Observer>> observers;
    PhaseClock clock;                      // of the round in hand
    std::vector<std::uint32_t> lost = {};  // ids of silos whose ranks have died, ascending
};

struct Outcome {
    std::uint64_t rounds = 0;  // the last finished round
    std::string stop_reason;   // empty when all rounds were trained
};

/// Trains until the last round or until an observer asks to stop; `round` is the first, or the one after a checkpoint.
/// All ranks call it. A silo that diverged, or an exchange that failed, throws the same AgreedError on every rank.
/// outcome: of the rounds before, where it has one; with a reason to stop nothing is trained.
Outcome run_synchronous(Federation& federation, Round round, Outcome outcome = {});

/// Shows a finished round to all observers, as the loop does. Collective. Returns why no round may follow, or "".
std::string show_to_observers(Federation& federation, const Round& round, const Aggregate& sum);

}  // namespace silosum

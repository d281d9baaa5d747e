// What a federation needs to go on without ranks that die: the last model that all had, until all have the next one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/buffer.hpp"
#include "federation/federation.hpp"
#include "observe/stopping.hpp"

namespace silosum {

/// Where the survivors of a death are: all ranks alike.
struct Standing {
    std::uint64_t round = 0;       // the last whose model has been published
    bool is_observed = false;      // its observers are through; if not, they have to look (again)
    std::optional<Aggregate> sum;  // of that round, without the mean: for the observers
    std::string stop_reason;       // that they gave
    std::vector<float> model;      // on rank 0
    NextRange range;
};

/// Two observers of every round: the first notes that a model was published, the last that all other observers are through. Where a rank
/// dies between, survivors find there what is sure: a published model is never taken back, as its sum may not be done again over others.
class Survival {
public:
    /// Collective. done: the last round of an earlier start, or 0; the model of the federation is that of this round. Keeps a copy of the
    /// model, once a node where its ranks share memory.
    Survival(Federation& federation, Stopping& stopping, std::uint64_t done);

    [[nodiscard]] std::unique_ptr<Observer> first_observer();
    [[nodiscard]] std::unique_ptr<Observer> last_observer();

    /// Collective over the survivors, whose communicator is the federation's by now. Sets the stopping rule back to where it was before
    /// the observers that have to look again.
    [[nodiscard]] Standing take_stock();
    /// Collective. As the constructor, for the new exchange and the ranks that are left.
    void keep_first(std::uint64_t done);

private:
    struct Kept {
        std::uint64_t round = 0;
        NextRange range;
        StoppingState stopping;
        std::string stop_reason;
    };
    struct Published {
        std::uint64_t round = 0;
        Aggregate sum;
        NextRange range;
    };

    void note_published(const RoundReport& report);
    void keep(const RoundReport& report);
    void copy_model();
    [[nodiscard]] Aggregate sum_from(int rank);

    Federation& federation_;
    Stopping& stopping_;
    std::optional<Nodes> nodes_;  // where a copy is shared
    Buffer<float> copy_;          // of the model of the round that is kept
    Kept kept_;
    Kept before_;
    Published published_;
};

}  // namespace silosum

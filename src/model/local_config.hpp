// The section `local` of the configuration: what a silo does between receiving the model and sending its update.
#pragma once

#include <cstdint>
#include <string>

#include "base/options.hpp"
#include "model/optimizer.hpp"
#include "model/schedule.hpp"

namespace silosum {

struct LocalConfig {
    std::uint64_t epochs = 1;       // passes over the shard a round, unless steps > 0
    std::uint64_t steps = 0;        // optimiser steps a round
    std::uint64_t batch_size = 32;  // 0: the whole shard
    std::uint64_t ranks_per_silo = 1;
    double lr = 0;
    std::string schedule;
    double gamma = 1;
    std::uint64_t step_rounds = 1;
    double lr_min = 0;
    std::uint64_t warmup_rounds = 0;
    std::string optimizer;
    double momentum = 0;
    bool nesterov = false;
    double weight_decay = 0;
    double clip_norm = 0;
    double beta1 = 0;
    double beta2 = 0;
    double epsilon = 0;
    std::string state;
    std::string math;
    double deadline_s = 0;  // 0: none

    /// Declares the keys; the options then refer to this object.
    void add_to(Options& options);

    [[nodiscard]] OptimizerSettings optimizer_settings() const;
    /// Learning rates over a run of that many rounds.
    [[nodiscard]] Schedule learning_rates(std::uint64_t rounds) const;
    /// True where the optimiser's state lives on from round to round.
    [[nodiscard]] bool keeps_state() const { return state == "keep"; }
    /// Samples of a batch of a shard.
    [[nodiscard]] std::uint64_t batch_size_for(std::uint64_t samples) const {
        return batch_size == 0 || batch_size > samples ? samples : batch_size;
    }
    /// The most of them that one rank has.
    [[nodiscard]] std::uint64_t part_size_for(std::uint64_t samples) const {
        return (batch_size_for(samples) + ranks_per_silo - 1) / ranks_per_silo;
    }
    /// How many groups of ranks_per_silo so many ranks are; UsageError where some would be left over.
    [[nodiscard]] int groups_of(int ranks) const;
};

}  // namespace silosum

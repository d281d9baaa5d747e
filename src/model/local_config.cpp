#include "model/local_config.hpp"

#include <cmath>

#include <fmt/format.h>

#include "base/error.hpp"

namespace silosum {

namespace {

// Kernels compute with floats: what is in range as a double must be so still.
float in_float(double value) {
    return static_cast<float>(value);
}

}  // namespace

void LocalConfig::add_to(Options& options) {
    const auto sgd = [this] { return optimizer == "sgd"; };
    const auto adam = [this] { return optimizer == "adam"; };
    const auto with_optimizer = [this] { return "local.optimizer = " + optimizer; };
    const auto with_schedule = [this] { return "local.schedule = " + schedule; };

    options.add("local.epochs", &epochs, 1, between(1, 1000), "Passes over the silo's shard in a round.")
        .used_when([this] { return steps == 0; }, [this] { return fmt::format("local.steps = {}", steps); });
    options.add("local.steps", &steps, 0, between(0, 1e7), "Optimiser steps in a round instead of epochs; 0 counts epochs.");
    options.add("local.batch_size", &batch_size, 32, between(0, 1 << 20), "Samples of a step; 0 takes the whole shard.");
    options.add("local.ranks_per_silo", &ranks_per_silo, 1, between(1, 1 << 16),
                "Ranks that train a silo together: neighbours, each with a part of every batch. Must divide the number of ranks. The model "
                "has the same bits for any number and placement of such groups; with more ranks a silo gradients are added in another "
                "order, and round otherwise.");
    options.add("local.lr", &lr, 0.01, {.low = 0, .high = 1000, .low_open = true}, "Learning rate.");
    options.add("local.schedule", &schedule, "constant", "Learning rate from round to round.").one_of(schedule_names());
    options
        .add("local.gamma", &gamma, 1, {.low = 0, .high = 1, .low_open = true},
             "Factor of the learning rate: each round (exponential) or every step_rounds (step).")
        .used_when([this] { return schedule == "exponential" || schedule == "step"; }, with_schedule);
    options.add("local.step_rounds", &step_rounds, 1, between(1, 1e7), "Rounds between two steps of the step schedule.")
        .used_when([this] { return schedule == "step"; }, with_schedule);
    options.add("local.lr_min", &lr_min, 0, at_least(0), "Learning rate at the end of the cosine schedule.")
        .used_when([this] { return schedule == "cosine"; }, with_schedule)
        .check([this] { return lr_min > lr ? fmt::format("must not be above local.lr = {}", lr) : ""; });
    options.add("local.warmup_rounds", &warmup_rounds, 0, between(0, 1e7), "First rounds in which the learning rate rises linearly.");
    options.add("local.optimizer", &optimizer, "sgd", "Optimiser of the silos.").one_of({"sgd", "adam"});
    options.add("local.momentum", &momentum, 0, from_up_to(0, 1), "Momentum of SGD.").used_when(sgd, with_optimizer).check([this] {
        return in_float(momentum) < 1 ? "" : "is 1 in single precision";
    });
    options.add("local.nesterov", &nesterov, false, "Nesterov's form of the momentum.").used_when(sgd, with_optimizer).check([this] {
        return nesterov && momentum == 0 ? "needs local.momentum above 0" : "";
    });
    options.add("local.weight_decay", &weight_decay, 0, between(0, 1), "L2 weight decay, added to the gradient.");
    options.add("local.clip_norm", &clip_norm, 0, at_least(0), "Largest L2 norm of a step's gradient; 0 clips nothing.");
    options.add("local.beta1", &beta1, 0.9, from_up_to(0, 1), "Decay of Adam's first moment.")
        .used_when(adam, with_optimizer)
        .check([this] { return in_float(beta1) < 1 ? "" : "is 1 in single precision"; });
    options.add("local.beta2", &beta2, 0.999, from_up_to(0, 1), "Decay of Adam's second moment.")
        .used_when(adam, with_optimizer)
        .check([this] { return in_float(beta2) < 1 ? "" : "is 1 in single precision"; });
    options.add("local.epsilon", &epsilon, 1e-8, above(0), "Adam's term against division by zero.")
        .used_when(adam, with_optimizer)
        .check([this] { return std::isnormal(in_float(epsilon)) ? "" : "is 0 or infinite in single precision"; });
    options
        .add("local.state", &state, "reset",
             "Momentum and Adam's moments at the start of a round: reset, or keep those of the silo's last one.")
        .one_of({"reset", "keep"})
        .used_when([this] { return optimizer == "adam" || momentum > 0; }, [] { return std::string("plain SGD, which has no state"); });
    options
        .add(
            "local.math", &math, "float32",
            "How a GPU multiplies matrices, in dense layers and convolutions: as float32, or on its tensor cores as tf32, which counts the "
            "leading 11 bits of each factor and adds up as float32. Another choice gives another model.")
        .one_of({"float32", "tf32"});
    options
        .add(
            "local.deadline_s", &deadline_s, 0, at_least(0),
            "Seconds that a silo may train in a round, looked at after every step. One that needs longer gives nothing to the round, which "
            "goes on without it; which ones do depends on the machine, and with it the model. A secure run ends where too few are left, or "
            "where the count of the one that is missing would show (exchange.count_leak; not with exchange.weights = uniform). 0: no "
            "limit.")
        .check(
            [this] { return deadline_s > 0 && keeps_state() ? "does not go with local.state = keep: a state half way is no state" : ""; });
}

OptimizerSettings LocalConfig::optimizer_settings() const {
    return {.kind = optimizer == "adam" ? OptimizerSettings::Kind::adam : OptimizerSettings::Kind::sgd,
            .momentum = momentum,
            .nesterov = nesterov,
            .weight_decay = weight_decay,
            .clip_norm = clip_norm,
            .beta1 = beta1,
            .beta2 = beta2,
            .epsilon = epsilon};
}

int LocalConfig::groups_of(int ranks) const {
    const auto all = static_cast<std::uint64_t>(ranks);
    const std::uint64_t below = all / ranks_per_silo * ranks_per_silo;
    require(below == all, "local.ranks_per_silo = {}: {} ranks cannot be cut into groups of {}; start {}{}", ranks_per_silo, ranks,
            ranks_per_silo, below > 0 ? fmt::format("{} or ", below) : "", below + ranks_per_silo);
    return static_cast<int>(all / ranks_per_silo);
}

Schedule LocalConfig::learning_rates(std::uint64_t rounds) const {
    return {.kind = schedule_from_name(schedule),
            .lr = lr,
            .gamma = gamma,
            .step_rounds = step_rounds,
            .lr_min = lr_min,
            .rounds = rounds,
            .warmup_rounds = warmup_rounds};
}

}  // namespace silosum

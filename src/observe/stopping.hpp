// When to stop early, and which model was the best: decided from exact sums, so alike on every rank and for every number of ranks.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "observe/evaluation.hpp"

namespace silosum {

/// What of it a checkpoint keeps.
struct StoppingState {
    std::optional<double> best;       // best value of eval.best_metric so far
    std::uint64_t best_round = 0;
    std::uint64_t without_better = 0;  // measurements since
};

/// Observer: asks to stop on the target, on patience and on a signal to any rank; keeps the best model by validation.
class Stopping : public Observer {
public:
    /// save_best is called on all ranks with the round number when the validation rows say that the model is the best so far.
    /// UsageError where a metric does not belong to the task, or patience has no validation rows to look at.
    Stopping(const EvaluationConfig& config, const Federation& federation, const Evaluation& evaluation, std::function<void(std::uint64_t)> save_best);
    void after_round(RoundReport& report) override;

    [[nodiscard]] const StoppingState& state() const { return state_; }
    void set_state(const StoppingState& state) { state_ = state; }
    /// The signal that asked to stop, on whichever rank it came; 0 for none. Equal on all ranks.
    [[nodiscard]] int signal() const { return signal_; }

private:
    void judge_best(RoundReport& report);

    EvaluationConfig config_;
    const Federation& federation_;
    const Evaluation& evaluation_;
    std::function<void(std::uint64_t)> save_best_;
    StoppingState state_;
    int signal_ = 0;
};

}  // namespace silosum

// When to stop early, and which model was the best: decided from exact sums, so alike on every rank and for every number of ranks.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "observe/evaluation.hpp"

namespace silosum {

/// What of it a checkpoint keeps.
struct StoppingState {
    std::string best_metric;     // what `best` is a value of: a best of another metric says nothing
    std::optional<double> best;  // best value of eval.best_metric so far
    std::uint64_t best_round = 0;
    std::uint64_t without_better = 0;  // measurements since
    std::string judged_metric;         // what `judged` is a value of: eval.target_metric, and on which common test
    std::optional<double> judged;      // its last measurement
};

/// UsageError where a metric does not belong to the task, or a rule to stop has no rows to look at.
void check_rules(const EvaluationConfig& config, const Census& census);

/// Observer: asks to stop on the target, on patience and on a signal to any rank; keeps the best model by validation.
class Stopping : public Observer {
public:
    /// save_best is called on all ranks with the round number when the validation rows say that the model is the best so far.
    /// UsageError as check_rules.
    Stopping(const EvaluationConfig& config, const Federation& federation, const Evaluation& evaluation,
             std::function<void(std::uint64_t)> save_best);
    void after_round(RoundReport& report) override;

    [[nodiscard]] const StoppingState& state() const { return state_; }
    /// Takes what still holds under the present settings.
    void set_state(const StoppingState& state);
    /// Why no round may follow, from the measurements so far: the target is reached or patience is at its end. Empty otherwise.
    [[nodiscard]] std::string reason_to_stop() const;
    /// The last round ended the run because of a signal, on whichever rank it came. Equal on all ranks.
    [[nodiscard]] bool was_interrupted() const { return was_interrupted_; }

private:
    void judge_best(std::uint64_t round);

    EvaluationConfig config_;
    const Federation& federation_;
    const Evaluation& evaluation_;
    std::function<void(std::uint64_t)> save_best_;
    StoppingState state_;
    bool was_interrupted_ = false;
};

}  // namespace silosum

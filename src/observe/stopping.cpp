#include "observe/stopping.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/process.hpp"
#include "base/text.hpp"
#include "comm/collectives.hpp"

namespace silosum {

namespace {

void require_metric(const char* key, const std::string& metric, const Problem& problem) {
    const auto names = metric_names(problem);
    const std::string classes = problem.task == Task::classification ? fmt::format(" of {} classes", problem.classes) : "";
    require(std::find(names.begin(), names.end(), metric) != names.end(), "{} = {}: a {} task{} has {}", key, metric,
            to_string(problem.task), classes, join(names, ", "));
}

bool is_better(const std::string& metric, double value, double than) {
    return larger_is_better(metric) ? value > than : value < than;
}

}  // namespace

void check_rules(const EvaluationConfig& config, const Census& census) {
    if (config.target != 0) require_metric("eval.target_metric", config.target_metric, census.problem);
    require_metric("eval.best_metric", config.best_metric, census.problem);
    require(config.patience == 0 || census.totals.validation > 0,
            "eval.patience = {}: no silo has validation rows; make some with `silosum shard --validation-fraction`, or set 0",
            config.patience);
    const bool is_judged = !config.common_test.empty() || census.totals.test + census.totals.validation > 0;
    require(config.target == 0 || is_judged,
            "eval.target = {}: there is no eval.common_test and no silo has test or validation rows to reach it on; set 0", config.target);
}

Stopping::Stopping(const EvaluationConfig& config, const Federation& federation, const Evaluation& evaluation,
                   std::function<void(std::uint64_t)> save_best)
    : config_(config), federation_(federation), evaluation_(evaluation), save_best_(std::move(save_best)) {
    check_rules(config, federation.census);
    state_.best_metric = config.best_metric;
    state_.judged_metric = config.target_metric + (config.common_test.empty() ? "" : " on " + config.common_test);
}

void Stopping::set_state(const StoppingState& state) {
    if (state.best_metric == config_.best_metric) {
        state_.best = state.best;
        state_.best_round = state.best_round;
        state_.without_better = state.without_better;
    }
    if (state.judged_metric == state_.judged_metric) state_.judged = state.judged;
}

std::string Stopping::reason_to_stop() const {
    const bool is_judged = state_.judged && std::isfinite(*state_.judged);  // a model that diverges reaches nothing
    if (config_.target != 0 && is_judged && !is_better(config_.target_metric, config_.target, *state_.judged)) {
        return fmt::format("target: {} is {:.6g}, eval.target is {:.6g}", config_.target_metric, *state_.judged, config_.target);
    }
    if (config_.patience > 0 && state_.without_better >= config_.patience) {
        return fmt::format("patience: validation {} was best in round {}, {} measurements ago", config_.best_metric, state_.best_round,
                           state_.without_better);
    }
    return "";
}

void Stopping::judge_best(std::uint64_t round) {
    const auto found = evaluation_.latest().find("validation");
    if (found == evaluation_.latest().end()) return;
    const auto value = found->second.value(config_.best_metric);
    if (!value) return;  // undefined on these rows, as the area under the ROC curve of one class: says nothing
    if (std::isfinite(*value) && (!state_.best || is_better(config_.best_metric, *value, *state_.best))) {
        state_.best = value;
        state_.best_round = round;
        state_.without_better = 0;
        save_best_(round);
    } else {
        ++state_.without_better;
    }
}

void Stopping::after_round(RoundReport& report) {
    judge_best(report.round.number);
    if (const auto metrics = evaluation_.judged()) state_.judged = metrics->value(config_.target_metric);
    report.stop_reason = reason_to_stop();
    std::array<std::uint64_t, 1> signal{static_cast<std::uint64_t>(stop_signal())};
    all_reduce_max(federation_.world, signal);
    was_interrupted_ = signal[0] != 0 && !report.is_final();
    if (was_interrupted_) report.stop_reason = fmt::format("signal {}", signal[0]);
}

}  // namespace silosum

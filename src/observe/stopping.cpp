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

void require_metric(const char* key, const std::string& metric, Task task) {
    const auto names = metric_names(task);
    require(std::find(names.begin(), names.end(), metric) != names.end(), "{} = {}: a {} task has {}", key, metric, to_string(task),
            join(names, ", "));
}

bool is_better(const std::string& metric, double value, double than) { return larger_is_better(metric) ? value > than : value < than; }

}  // namespace

Stopping::Stopping(const EvaluationConfig& config, const Federation& federation, const Evaluation& evaluation,
                   std::function<void(std::uint64_t)> save_best)
    : config_(config), federation_(federation), evaluation_(evaluation), save_best_(std::move(save_best)) {
    const Task task = federation.census.problem.task;
    if (config.target != 0) require_metric("eval.target_metric", config.target_metric, task);
    require_metric("eval.best_metric", config.best_metric, task);
    const bool validated = federation.census.rows(&SiloEntry::validation) > 0;
    require(config.patience == 0 || validated, "eval.patience = {}: no silo has validation rows; shard with --validation-fraction", config.patience);
}

void Stopping::judge_best(RoundReport& report) {
    const auto found = evaluation_.latest().find("validation");
    if (found == evaluation_.latest().end()) return;
    const auto value = found->second.value(config_.best_metric);
    if (value && std::isfinite(*value) && (!state_.best || is_better(config_.best_metric, *value, *state_.best))) {
        state_ = {.best = value, .best_round = report.round.number, .without_better = 0};
        save_best_(report.round.number);
    } else {
        ++state_.without_better;
    }
    if (config_.patience > 0 && state_.without_better >= config_.patience) {
        report.stop_reason = fmt::format("patience: validation {} was best in round {}, {} measurements ago", config_.best_metric,
                                         state_.best_round, state_.without_better);
    }
}

void Stopping::after_round(RoundReport& report) {
    judge_best(report);
    if (const auto metrics = evaluation_.judged(); metrics && config_.target != 0) {
        const auto value = metrics->value(config_.target_metric);
        if (value && !is_better(config_.target_metric, config_.target, *value)) {
            report.stop_reason = fmt::format("target: {} is {:.6g}, eval.target is {:.6g}", config_.target_metric, *value, config_.target);
        }
    }
    std::array<std::uint64_t, 1> signal{static_cast<std::uint64_t>(stop_signal())};
    all_reduce_max(federation_.world, signal);
    signal_ = static_cast<int>(signal[0]);
    if (signal_ != 0 && report.stop_reason.empty() && !report.round.is_last()) report.stop_reason = fmt::format("signal {}", signal_);
}

}  // namespace silosum

#include "observe/metrics.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

#include "base/error.hpp"
#include "base/text.hpp"

namespace silosum {

namespace {

struct NamedMetric {
    const char* name;
    std::optional<double> Metrics::*field;
    bool larger_is_better;
    bool classes, binary, regression;  // tasks that it belongs to
};

constexpr NamedMetric all_metrics[] = {
    {"loss", &Metrics::loss, false, true, true, true},
    {"weighted_loss", &Metrics::weighted_loss, false, true, true, false},
    {"accuracy", &Metrics::accuracy, true, true, true, false},
    {"balanced_accuracy", &Metrics::balanced_accuracy, true, true, true, false},
    {"f1", &Metrics::f1, true, true, true, false},
    {"auc", &Metrics::auc, true, true, true, false},
    {"auc_error", &Metrics::auc_error, false, true, true, false},
    {"calibration_error", &Metrics::calibration_error, false, true, true, false},
    {"brier", &Metrics::brier, false, true, true, false},
    {"mse", &Metrics::mse, false, false, false, true},
    {"rmse", &Metrics::rmse, false, false, false, true},
    {"mae", &Metrics::mae, false, false, false, true},
    {"r2", &Metrics::r2, true, false, false, true},
};

const NamedMetric& find_metric(const std::string& name) {
    for (const NamedMetric& metric : all_metrics) {
        if (name == metric.name) return metric;
    }
    std::vector<std::string> known;
    for (const NamedMetric& metric : all_metrics) known.emplace_back(metric.name);
    throw UsageError(unknown_name("metric", name, known));
}

bool belongs_to(const NamedMetric& metric, Task task) {
    switch (task) {
        case Task::classification:
            return metric.classes;
        case Task::binary:
            return metric.binary;
        case Task::regression:
            return metric.regression;
    }
    return false;
}

}  // namespace

std::optional<double> Metrics::value(const std::string& name) const {
    return this->*find_metric(name).field;
}

nlohmann::ordered_json Metrics::to_json(Task task) const {
    nlohmann::ordered_json json{{"rows", rows}};
    for (const NamedMetric& metric : all_metrics) {
        if (!belongs_to(metric, task)) continue;
        const std::optional<double>& value = this->*metric.field;
        json[metric.name] = value && std::isfinite(*value) ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
    }
    return json;
}

std::vector<std::string> metric_names(Task task) {
    std::vector<std::string> names;
    for (const NamedMetric& metric : all_metrics) {
        if (belongs_to(metric, task)) names.emplace_back(metric.name);
    }
    return names;
}

std::vector<std::string> metric_names(const Problem& problem) {
    std::vector<std::string> names = metric_names(problem.task);
    if (problem.classes > 2) std::erase_if(names, [](const std::string& name) { return name.starts_with("auc"); });
    return names;
}

bool larger_is_better(const std::string& metric) {
    return find_metric(metric).larger_is_better;
}

std::optional<double> area_under_roc(std::span<const float> scores, std::span<const std::int32_t> labels) {
    assert(scores.size() == labels.size());
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
    double in_order = 0, negatives_below = 0, positives = 0;
    for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
        double n = 0, p = 0;
        for (; end < order.size() && scores[order[end]] == scores[order[begin]]; ++end) (labels[order[end]] == 1 ? p : n) += 1;
        in_order += p * (negatives_below + 0.5 * n);
        negatives_below += n;
        positives += p;
    }
    if (positives == 0 || negatives_below == 0) return std::nullopt;
    return in_order / (positives * negatives_below);
}

std::optional<Spread> spread_over_silos(std::span<const std::optional<double>> values, bool larger_is_better) {
    Spread spread;
    double squares = 0;
    for (std::size_t silo = 0; silo < values.size(); ++silo) {
        if (!values[silo] || !std::isfinite(*values[silo])) continue;
        const double value = *values[silo];
        if (spread.silos == 0) spread.min = spread.max = value, spread.worst = silo;
        const double worst = *values[spread.worst];
        if (larger_is_better ? value < worst : value > worst) spread.worst = silo;
        spread.min = std::min(spread.min, value);
        spread.max = std::max(spread.max, value);
        ++spread.silos;
        // Welford's update: no difference of large squares.
        const double before = value - spread.mean;
        spread.mean += before / static_cast<double>(spread.silos);
        squares += before * (value - spread.mean);
    }
    if (spread.silos == 0) return std::nullopt;
    spread.deviation = std::sqrt(squares / static_cast<double>(spread.silos));
    return spread;
}

}  // namespace silosum

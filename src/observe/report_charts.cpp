#include "observe/report_charts.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <span>

#include <fmt/format.h>

#include "observe/metrics.hpp"
#include "observe/plot.hpp"

namespace silosum {

namespace {

using nlohmann::json;

// More bands over each other show nothing.
constexpr std::size_t most_bands = 4;
constexpr std::size_t most_bars = 80;

const plot::Axis round_axis{.title = "round", .whole = true};

constexpr std::array known_phases{"train",  "wait",   "encode", "keys",    "agree", "mask",    "wire",
                                  "unmask", "decode", "tag",    "publish", "hash",  "evaluate"};

double round_of(const json& round) {
    return number(round, "/round").value_or(0);
}

// Values by round, of the rounds that have one.
std::vector<plot::Point> series(const RunRecord& run, const std::string& pointer) {
    std::vector<plot::Point> points;
    for (const json& round : run.rounds) {
        if (const auto value = number(round, pointer)) points.push_back({round_of(round), *value});
    }
    return points;
}

// The least and the largest value of a silo.
using Reach = std::function<std::optional<std::pair<double, double>>(const json& round)>;

Reach reach_of(const std::string& split, const std::string& metric) {
    const std::string spread = "/" + split + "/" + metric;
    return [=](const json& round) -> std::optional<std::pair<double, double>> {
        const auto low = number(round, spread + "/min"), high = number(round, spread + "/max");
        if (!low || !high) return std::nullopt;
        return std::pair(*low, *high);
    };
}

std::optional<std::pair<double, double>> reach_of_training(const json& round) {
    const json* losses = entry(round, "/train_losses");
    if (losses == nullptr || !losses->is_array()) return std::nullopt;
    std::optional<std::pair<double, double>> reach;
    for (const json& silo : *losses) {
        const double loss = number(silo, "/loss").value_or(std::nan(""));
        if (!std::isfinite(loss)) continue;
        if (!reach) reach = {loss, loss};
        reach = {std::min(reach->first, loss), std::max(reach->second, loss)};
    }
    return reach;
}

// A loss that falls by more than this is read better on a logarithmic axis.
bool spans_decades(const plot::LineChart& chart) {
    double low = std::numeric_limits<double>::infinity(), high = 0;
    for (const auto& line : chart.lines) {
        for (const auto& point : line.points) {
            if (!std::isfinite(point.y)) continue;
            low = std::min(low, point.y);
            high = std::max(high, point.y);
        }
    }
    return low > 0 && high > 20 * low;
}

// pointer: to the value of all rows together. The band and the worst silo are there where the record knows single silos.
std::string metric_chart(const std::vector<RunRecord>& runs, const std::string& title, const std::string& metric,
                         const std::string& pointer, const Reach& reach) {
    const bool more_is_better = larger_is_better(metric);
    plot::LineChart chart;
    chart.title = title;
    chart.x = round_axis;
    chart.y.title = in_words(metric);
    if (metric == "accuracy") chart.y.ceiling = 1;
    const bool with_bands = runs.size() <= most_bands;
    bool has_bands = false;
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const bool is_alone = runs.size() == 1;
        plot::Band band{.name = is_alone ? "from the least to the largest of the silos" : "", .reaches = {}, .style = i};
        plot::Line worst{.name = is_alone ? "worst silo" : "", .points = {}, .style = i, .is_thin = true};
        for (const json& round : runs[i].rounds) {
            const auto found = reach(round);
            if (!found) continue;
            band.reaches.push_back({round_of(round), found->first, found->second});
            worst.points.push_back({round_of(round), more_is_better ? found->first : found->second});
        }
        chart.lines.push_back({.name = is_alone ? "all silos together" : runs[i].name, .points = series(runs[i], pointer), .style = i});
        if (band.reaches.empty()) continue;
        has_bands = true;
        if (!with_bands) continue;
        chart.bands.push_back(std::move(band));
        chart.lines.push_back(std::move(worst));
    }
    if (has_bands && runs.size() > 1)
        chart.note = with_bands ? "Band: from the least to the largest of the silos; its thin edge: the worst silo."
                                : fmt::format("Silos are shown as bands for up to {} runs.", most_bands);
    if (metric == "loss" && spans_decades(chart)) chart.y.log = true;
    return plot::draw(chart);
}

std::string bytes_chart(const std::vector<RunRecord>& runs) {
    plot::LineChart chart{.title = "Bytes sent since the first round",
                          .note = "All ranks together, by messages or in shared memory.",
                          .x = round_axis,
                          .y = {.title = "sent", .unit = "B", .from_zero = true},
                          .bands = {},
                          .lines = {}};
    for (std::size_t i = 0; i < runs.size(); ++i) {
        plot::Line line{.name = runs.size() == 1 ? "" : runs[i].name, .points = series(runs[i], "/bytes_sent"), .style = i};
        double sum = 0;
        for (auto& point : line.points) point.y = sum += point.y;
        chart.lines.push_back(std::move(line));
    }
    return plot::draw(chart);
}

std::string participants_chart(const std::vector<RunRecord>& runs) {
    plot::LineChart chart{.title = "Participants",
                          .note = runs.size() == 1 ? "" : "Silos that gave an update; thin: those chosen for the round.",
                          .x = round_axis,
                          .y = {.title = "silos", .whole = true, .from_zero = true},
                          .bands = {},
                          .lines = {}};
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const bool is_alone = runs.size() == 1;
        chart.lines.push_back({.name = is_alone ? "gave an update" : runs[i].name, .points = series(runs[i], "/trained"), .style = i});
        chart.lines.push_back({.name = is_alone ? "chosen for the round" : "",
                               .points = series(runs[i], "/participants"),
                               .style = is_alone ? 1 : i,
                               .is_thin = true});
    }
    return plot::draw(chart);
}

std::string clipped_chart(const std::vector<RunRecord>& runs) {
    plot::LineChart chart{.title = "Clipped coordinates",
                          .note = "Coordinates of updates beyond the range of the exchange, which were limited to it.",
                          .x = round_axis,
                          .y = {.title = "coordinates a round", .whole = true, .from_zero = true},
                          .bands = {},
                          .lines = {}};
    for (std::size_t i = 0; i < runs.size(); ++i)
        chart.lines.push_back({.name = runs.size() == 1 ? "" : runs[i].name, .points = series(runs[i], "/clipped"), .style = i});
    return plot::draw(chart);
}

double mean_seconds(std::span<const json> rounds, const std::string& phase) {
    double sum = 0;
    for (const json& round : rounds) {
        const double seconds = number(round, "/seconds/" + phase + "/wall").value_or(0);
        if (std::isfinite(seconds)) sum += std::max(0.0, seconds);
    }
    return rounds.empty() ? 0 : sum / static_cast<double>(rounds.size());
}

std::string whose_time(const std::vector<RunRecord>& runs) {
    if (std::none_of(runs.begin(), runs.end(), [](const RunRecord& run) { return run.is_secure(); }))
        return "In each phase that of the slowest rank.";
    return std::string(runs.size() == 1 ? "That of rank 0" : "In each phase that of the slowest rank, under masks of rank 0") +
           "; under masks, times of training, waiting and measuring are not recorded.";
}

// One run: its rounds one after the other. Several: their mean rounds side by side.
std::string time_chart(const std::vector<RunRecord>& runs) {
    const bool is_alone = runs.size() == 1;
    plot::StackedChart chart{.title = is_alone ? "Time of a round by phase" : "Time of a mean round by phase",
                             .note = whose_time(runs),
                             .x = is_alone ? round_axis : plot::Axis{.title = "run"},
                             .y = {.title = "wall time", .unit = "s", .from_zero = true},
                             .edges = {},
                             .labels = {},
                             .layers = {}};
    std::vector<std::span<const json>> bars;
    if (is_alone) {
        const std::span<const json> rounds(runs.front().rounds);
        const std::size_t each = std::max<std::size_t>(1, (rounds.size() + most_bars - 1) / most_bars);
        for (std::size_t begin = 0; begin < rounds.size(); begin += each) {
            bars.push_back(rounds.subspan(begin, std::min(each, rounds.size() - begin)));
            chart.edges.push_back(round_of(rounds[begin]) - 0.5);
        }
        if (!rounds.empty()) chart.edges.push_back(round_of(rounds.back()) + 0.5);
        if (each > 1) chart.note += fmt::format(" Each bar is the mean of {} rounds.", each);
    } else {
        for (const RunRecord& run : runs) {
            bars.emplace_back(run.rounds);
            chart.labels.push_back(run.name);
        }
    }
    for (const auto& phase : phases_of(runs)) {
        plot::StackedChart::Layer layer{.name = phase, .heights = {}, .style = place_of_phase(phase)};
        for (const auto& bar : bars) layer.heights.push_back(mean_seconds(bar, phase));
        chart.layers.push_back(std::move(layer));
    }
    return plot::draw(chart);
}

}  // namespace

std::size_t place_of_phase(const std::string& phase) {
    return static_cast<std::size_t>(std::find(known_phases.begin(), known_phases.end(), phase) - known_phases.begin());
}

std::string in_words(std::string key) {
    std::replace(key.begin(), key.end(), '_', ' ');
    return key;
}

std::vector<std::string> measured_splits(const RunRecord& run) {
    std::vector<std::string> splits;
    for (const char* split : {"test", "validation", "common_test"}) {
        const bool is_there = std::any_of(run.rounds.begin(), run.rounds.end(),
                                          [&](const json& round) { return entry(round, overall_of(split) + "loss") != nullptr; });
        if (is_there) splits.emplace_back(split);
    }
    return splits;
}

std::string overall_of(const std::string& split) {
    return split == "common_test" ? "/common_test/" : "/" + split + "/overall/";
}

std::string main_metric(const RunRecord& run) {
    for (const auto& split : measured_splits(run)) {
        for (const json& round : run.rounds) {
            if (entry(round, overall_of(split) + "rmse") != nullptr) return "rmse";
        }
    }
    return "accuracy";
}

std::vector<std::string> phases_of(const std::vector<RunRecord>& runs) {
    std::vector<std::string> there;
    for (const RunRecord& run : runs) {
        for (const json& round : run.rounds) {
            const json* seconds = entry(round, "/seconds");
            if (seconds == nullptr || !seconds->is_object()) continue;
            for (const auto& [phase, times] : seconds->items()) {
                if (std::find(there.begin(), there.end(), phase) == there.end()) there.push_back(phase);
            }
        }
    }
    std::stable_sort(there.begin(), there.end(), [](const auto& a, const auto& b) { return place_of_phase(a) < place_of_phase(b); });
    return there;
}

std::string charts_of(const std::vector<RunRecord>& runs) {
    std::string html = plot::definitions() + "<div class=\"charts\">\n";
    html += metric_chart(runs, "Loss in training", "loss", "/train_loss", reach_of_training);
    for (const char* split : {"test", "validation", "common_test"}) {
        std::vector<std::string> metrics;
        for (const RunRecord& run : runs) {
            const auto splits = measured_splits(run);
            if (std::find(splits.begin(), splits.end(), split) == splits.end()) continue;
            for (const auto& metric : {main_metric(run), std::string("loss")}) {
                if (std::find(metrics.begin(), metrics.end(), metric) == metrics.end()) metrics.push_back(metric);
            }
        }
        for (const auto& metric : metrics)
            html += metric_chart(runs,
                                 fmt::format("{} on {} rows",
                                             metric == "rmse"   ? "Root mean square error"
                                             : metric == "loss" ? "Loss"
                                                                : "Accuracy",
                                             in_words(split)),
                                 metric, overall_of(split) + metric, reach_of(split, metric));
    }
    return html + time_chart(runs) + bytes_chart(runs) + participants_chart(runs) + clipped_chart(runs) + "</div>\n";
}

}  // namespace silosum

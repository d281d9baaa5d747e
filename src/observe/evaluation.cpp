#include "observe/evaluation.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

#include "base/error.hpp"
#include "base/text.hpp"
#include "comm/collectives.hpp"
#include "data/loader.hpp"
#include "exchange/sums.hpp"

namespace silosum {

namespace {

constexpr std::size_t block_rows = 256;

// Sums of several holders of rows as words that add exactly over ranks; a holder is a silo, or a block of the common test.
class TotalSums {
public:
    explicit TotalSums(const Problem& problem)
        : problem_(problem),
          counts_(MetricSums::count_length(problem), 0),
          numbers_(MetricSums::number_length(problem)),
          beyond_(MetricSums::number_length(problem), 0) {}

    void add(const MetricSums& sums) {
        const auto counts = sums.counts();
        for (std::size_t i = 0; i < counts.size(); ++i) counts_[i] += counts[i];
        const auto numbers = sums.numbers();
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            // A model that diverges may give sums beyond what can be added: then their total is no number either.
            if (fits_exact(numbers[i])) {
                numbers_.add(i, numbers[i], "metric");
            } else {
                ++beyond_[i];
            }
        }
    }

    [[nodiscard]] Metrics over_all_ranks(const Communicator& world) {
        all_reduce_sum(world, std::span<std::uint64_t>(counts_));
        all_reduce_sum(world, std::span<std::uint64_t>(beyond_));
        std::vector<double> numbers = sum_exactly(world, std::move(numbers_));
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            if (beyond_[i] > 0) numbers[i] = std::numeric_limits<double>::quiet_NaN();
        }
        return MetricSums::from_sums(problem_, counts_, numbers).finish();
    }

private:
    const Problem& problem_;
    std::vector<std::uint64_t> counts_;
    ExactNumbers numbers_;
    std::vector<std::uint64_t> beyond_;  // how many did not fit, by number
};

nlohmann::ordered_json spread_json(const std::vector<nlohmann::ordered_json>& silos, const std::string& metric) {
    std::vector<std::optional<double>> values;
    for (const auto& silo : silos) values.push_back(silo[metric].is_number() ? std::optional(silo[metric].get<double>()) : std::nullopt);
    const auto spread = spread_over_silos(values, larger_is_better(metric));
    if (!spread) return nullptr;
    return {{"mean", spread->mean},
            {"min", spread->min},
            {"max", spread->max},
            {"deviation", spread->deviation},
            {"worst", silos[spread->worst]["silo"]}};
}

}  // namespace

void EvaluationConfig::add_to(Options& options) {
    std::vector<std::string> metrics;
    for (const auto task : {Task::classification, Task::binary, Task::regression}) {
        for (const auto& name : metric_names(task)) {
            if (std::find(metrics.begin(), metrics.end(), name) == metrics.end()) metrics.push_back(name);
        }
    }
    options.add("eval.every", &every, 1, at_least(0), "Rounds between two measurements; 0 measures only after the last round.");
    options.add("eval.common_test", &common_test, "", "Shard with a test set that no silo owns, measured beside the silos' own.").path();
    const auto wants_measurements = [this](bool is_set) {
        return is_set && every == 0 ? "needs eval.every of at least 1: 0 measures only at the end" : "";
    };
    options.add("eval.target", &target, 0, {}, "Stop when eval.target_metric of the (common) test reaches this; 0 never stops.")
        .check([this, wants_measurements] { return wants_measurements(target != 0); });
    options.add("eval.target_metric", &target_metric, "accuracy", "What eval.target is about.")
        .one_of(metrics)
        .used_when([this] { return target != 0; }, [] { return std::string("eval.target = 0"); });
    options
        .add("eval.patience", &patience, 0, at_least(0),
             "Stop after this many measurements without a better eval.best_metric of the validation rows; 0 never stops.")
        .check([this, wants_measurements] { return wants_measurements(patience > 0); });
    options.add("eval.best_metric", &best_metric, "loss", "Metric of the validation rows by which best.h5, the best model so far, is kept.")
        .one_of(metrics);
    options.add("eval.compare_local", &compare_local, false,
                "After training, train every silo alone for as many rounds and measure its model on the test rows of all silos.");
}

MetricSums measure(Sequential& network, const Split& split, const Affine& features, std::size_t begin, std::size_t end) {
    const Problem& problem = network.problem();
    MetricSums sums(problem);
    std::vector<std::uint32_t> rows;
    std::vector<float> x(block_rows * problem.features());
    std::vector<float> outputs(block_rows * network.outputs());
    for (std::size_t first = begin; first < end; first += block_rows) {
        const std::size_t count = std::min(block_rows, end - first);
        rows.resize(count);
        std::iota(rows.begin(), rows.end(), static_cast<std::uint32_t>(first));
        gather(split, features, rows, x.data());
        network.predict(count, x.data(), outputs.data());
        const std::span<const float> values(outputs.data(), count * network.outputs());
        if (problem.task == Task::regression) {
            sums.add(values, std::span(split.targets).subspan(first, count));
        } else {
            sums.add(values, std::span(split.labels).subspan(first, count), network.class_weights());
        }
    }
    return sums;
}

std::optional<SplitMetrics> measure_silos(const Communicator& world, Sequential& network, const std::vector<Silo>& silos,
                                          Split Shard::*split) {
    SplitMetrics metrics;
    TotalSums total(network.problem());
    for (const Silo& silo : silos) {
        const Split& rows = silo.shard().*split;
        if (rows.rows == 0) continue;
        const MetricSums sums = measure(network, rows, silo.features(), 0, rows.rows);
        total.add(sums);
        metrics.hosted.emplace_back(silo.id(), sums.finish());
    }
    metrics.overall = total.over_all_ranks(world);
    if (metrics.overall.rows == 0) return std::nullopt;
    return metrics;
}

Metrics measure_common(const Communicator& world, Sequential& network, const Split& test, const Affine& features) {
    TotalSums total(network.problem());
    for (std::size_t block = 0; block * block_rows < test.rows; ++block) {
        if (block % static_cast<std::size_t>(world.size()) != static_cast<std::size_t>(world.rank())) continue;
        const std::size_t begin = block * block_rows;
        total.add(measure(network, test, features, begin, std::min(test.rows, begin + block_rows)));
    }
    return total.over_all_ranks(world);
}

Evaluation::Evaluation(const EvaluationConfig& config, Federation& federation, std::optional<CommonTest> common_test)
    : config_(config), federation_(federation), common_test_(std::move(common_test)) {}

void Evaluation::measure_split(RoundReport& report, const std::string& name, Split Shard::*split) {
    const auto& world = federation_.world;
    const auto metrics = measure_silos(world, federation_.trainer.network(), federation_.silos, split);
    if (!metrics) return;
    latest_.emplace(name, metrics->overall);
    const Task task = federation_.census.problem.task;
    nlohmann::ordered_json mine = nlohmann::ordered_json::array();
    for (const auto& [id, of_silo] : metrics->hosted) {
        nlohmann::ordered_json row{{"id", id}, {"silo", federation_.census.silos[id].name}};
        row.update(of_silo.to_json(task));
        mine.push_back(row);
    }
    std::vector<nlohmann::ordered_json> silos;
    for (const auto& text : gather_text(world, mine.dump(), 0)) {
        for (auto& row : nlohmann::ordered_json::parse(text)) silos.push_back(row);
    }
    if (world.rank() != 0) return;
    std::sort(silos.begin(), silos.end(), [](const auto& a, const auto& b) { return a["id"] < b["id"]; });
    nlohmann::ordered_json json{{"overall", metrics->overall.to_json(task)}};
    for (const auto& metric : {task == Task::regression ? "rmse" : "accuracy", "loss"}) json[metric] = spread_json(silos, metric);
    for (auto& row : silos) row.erase("id");
    json["silos"] = silos;
    report.record[name] = json;
}

void Evaluation::after_round(RoundReport& report) {
    latest_.clear();
    const bool due = report.is_final() || (config_.every > 0 && report.round.number % config_.every == 0);
    if (!due) return;
    report.clock.measure("evaluate", [&] {
        federation_.trainer.network().load(federation_.global.values.span());
        measure_split(report, "validation", &Shard::validation);
        measure_split(report, "test", &Shard::test);
        if (!common_test_) return;
        const Metrics metrics =
            measure_common(federation_.world, federation_.trainer.network(), common_test_->shard.test, common_test_->features);
        latest_.emplace("common_test", metrics);
        report.record["common_test"] = metrics.to_json(federation_.census.problem.task);
    });
}

std::optional<Metrics> Evaluation::judged() const {
    for (const char* name : {"common_test", "test", "validation"}) {
        if (const auto found = latest_.find(name); found != latest_.end()) return found->second;
    }
    return std::nullopt;
}

}  // namespace silosum

#include "observe/evaluation.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

#include "base/error.hpp"
#include "base/text.hpp"
#include "comm/collectives.hpp"
#include "data/loader.hpp"

namespace silosum {

namespace {

constexpr std::size_t block_rows = 256;

// Sums of one holder of rows, or of several, as words that add exactly; a holder is a silo, or a block of the common test.
class WordSums {
public:
    explicit WordSums(const Problem& problem)
        : counts_(MetricSums::count_length(problem), 0),
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
    [[nodiscard]] std::vector<std::uint64_t> words() const {
        std::vector<std::uint64_t> words = counts_;
        words.insert(words.end(), beyond_.begin(), beyond_.end());
        words.insert(words.end(), numbers_.words().begin(), numbers_.words().end());
        return words;
    }
    [[nodiscard]] static std::size_t length(const Problem& problem) { return WordSums(problem).words().size(); }
    /// The metrics of added words.
    [[nodiscard]] static Metrics finish(const Problem& problem, const std::vector<std::uint64_t>& words) {
        WordSums sums(problem);
        auto from = words.begin();
        for (std::span<std::uint64_t> part : {std::span(sums.counts_), std::span(sums.beyond_), sums.numbers_.words()}) {
            std::copy_n(from, part.size(), part.begin());
            from += static_cast<std::ptrdiff_t>(part.size());
        }
        std::vector<double> numbers = sums.numbers_.values();
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            if (sums.beyond_[i] > 0) numbers[i] = std::numeric_limits<double>::quiet_NaN();
        }
        return MetricSums::from_sums(problem, sums.counts_, numbers).finish();
    }

private:
    std::vector<std::uint64_t> counts_;
    ExactNumbers numbers_;
    std::vector<std::uint64_t> beyond_;  // how many did not fit, by number
};

// The rows that a rank of a group measures: whole blocks.
std::pair<std::size_t, std::size_t> share_of(std::size_t rows, const RankGroups& ranks) {
    const std::size_t blocks = (rows + block_rows - 1) / block_rows;
    const auto cut = [&](int position) {
        return std::min(rows, blocks * static_cast<std::size_t>(position) / static_cast<std::size_t>(ranks.each()) * block_rows);
    };
    return {cut(ranks.position()), cut(ranks.position() + 1)};
}

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

std::optional<SplitMetrics> measure_silos(const RankGroups& ranks, Sums& sums, const std::string& purpose, Sequential& network,
                                          const std::vector<Silo>& silos, Split Shard::*split) {
    const Problem& problem = network.problem();
    SplitMetrics metrics;
    WordsOfSilos words;
    for (const Silo& silo : silos) {
        const Split& rows = silo.shard().*split;
        if (rows.rows == 0) continue;
        const auto [begin, end] = share_of(rows.rows, ranks);
        WordSums of_part(problem);
        of_part.add(measure(network, rows, silo.features(), begin, end));
        auto& of_silo = words[silo.id()] = of_part.words();
        all_reduce_sum(ranks.own(), std::span<std::uint64_t>(of_silo));
        if (ranks.is_first()) metrics.hosted.emplace_back(silo.id(), WordSums::finish(problem, of_silo));
    }
    metrics.overall = WordSums::finish(problem, sums.sum(purpose, WordSums::length(problem), words));
    if (metrics.overall.rows == 0) return std::nullopt;
    return metrics;
}

Metrics measure_common(const Communicator& world, Sequential& network, const Split& test, const Affine& features) {
    WordSums of_rank(network.problem());
    for (std::size_t block = 0; block * block_rows < test.rows; ++block) {
        if (block % static_cast<std::size_t>(world.size()) != static_cast<std::size_t>(world.rank())) continue;
        const std::size_t begin = block * block_rows;
        of_rank.add(measure(network, test, features, begin, std::min(test.rows, begin + block_rows)));
    }
    auto words = of_rank.words();
    all_reduce_sum(world, std::span<std::uint64_t>(words));
    return WordSums::finish(network.problem(), words);
}

Evaluation::Evaluation(const EvaluationConfig& config, Federation& federation, std::optional<CommonTest> common_test)
    : config_(config), federation_(federation), common_test_(std::move(common_test)) {}

void Evaluation::measure_split(RoundReport& report, const std::string& name, Split Shard::*split, std::uint64_t SiloEntry::*rows) {
    const auto& world = federation_.world;
    if (!federation_.sums->are_enough(federation_.census.silos_with(rows))) return;
    const auto metrics =
        measure_silos(*federation_.ranks, *federation_.sums, name, federation_.trainer.network(), federation_.silos, split);
    if (!metrics) return;
    latest_.emplace(name, metrics->overall);
    const Task task = federation_.census.problem.task;
    if (federation_.sums->hides_silos()) {
        report.record[name] = {{"overall", metrics->overall.to_json(task)}};
        return;
    }
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
        federation_.trainer.load(federation_.global.values.span());
        measure_split(report, "validation", &Shard::validation, &SiloEntry::validation);
        measure_split(report, "test", &Shard::test, &SiloEntry::test);
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

#include "commands/evaluate.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>

#include <fmt/format.h>
#include <fmt/ostream.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "commands/loaded_model.hpp"
#include "commands/verb_options.hpp"
#include "data/data_config.hpp"
#include "data/standardise.hpp"
#include "observe/evaluation.hpp"
#include "observe/metrics.hpp"

namespace silosum {

namespace {

namespace po = boost::program_options;

// More than that is read by nobody; --json has it.
constexpr std::size_t most_classes_shown = 20;

struct ShardMetrics {
    std::string silo;
    std::string path;
    Metrics metrics;
};

struct Result {
    std::string split;
    std::vector<ShardMetrics> shards;
    MetricSums sums;
    Metrics overall;
};

Result measure_shards(LoadedModel& model, const std::vector<std::string>& files, const std::string& split) {
    const ModelDescription& description = model.model.description;
    Result result{split, {}, MetricSums(description.problem), {}};
    for (const std::string& file : files) {
        const Shard shard = read_shard_for(model, file);
        const Split& rows = split_of(shard, split);
        const MetricSums sums = measure(model.network, rows, affine_for(description.standardisation, shard), 0, rows.rows);
        result.shards.push_back({shard.silo, file, sums.finish()});
        result.sums += sums;
    }
    result.overall = result.sums.finish();
    return result;
}

std::optional<Spread> spread_of(const Result& result, const std::string& metric) {
    std::vector<std::optional<double>> values;
    for (const ShardMetrics& shard : result.shards) values.push_back(shard.metrics.value(metric));
    return spread_over_silos(values, larger_is_better(metric));
}

std::string number(std::optional<double> value) {
    return value ? fmt::format("{:.4f}", *value) : "-";
}

void print_table(const std::vector<std::vector<std::string>>& table) {
    for (const auto& row : table) {
        std::string line;
        for (std::size_t column = 0; column < row.size(); ++column) {
            std::size_t width = 0;
            for (const auto& any : table) width = std::max(width, any[column].size());
            line += column == 0 ? fmt::format("{:<{}}", row[column], width) : fmt::format("  {:>{}}", row[column], width);
        }
        fmt::print("{}\n", line);
    }
}

void print_metrics(const Result& result, Task task) {
    std::vector<std::string> names;
    for (const std::string& name : metric_names(task)) {
        if (name != "auc_error" && result.overall.value(name)) names.push_back(name);
    }
    std::vector<std::vector<std::string>> table{{"silo", "rows"}};
    table[0].insert(table[0].end(), names.begin(), names.end());
    const auto add = [&](const std::string& title, const Metrics& metrics) {
        std::vector<std::string> row{title, std::to_string(metrics.rows)};
        for (const std::string& name : names) row.push_back(number(metrics.value(name)));
        table.push_back(row);
    };
    for (const ShardMetrics& shard : result.shards) add(shard.silo, shard.metrics);
    if (result.shards.size() > 1) {
        add("all rows", result.overall);
        const auto add_spread = [&](const std::string& title, const auto& text_of) {
            std::vector<std::string> row{title, ""};
            for (const std::string& name : names) {
                const auto spread = spread_of(result, name);
                row.push_back(spread ? text_of(*spread) : "-");
            }
            table.push_back(row);
        };
        add_spread("mean of silos", [](const Spread& spread) { return number(spread.mean); });
        add_spread("deviation", [](const Spread& spread) { return number(spread.deviation); });
        add_spread("worst silo", [&](const Spread& spread) { return result.shards[spread.worst].silo; });
    }
    print_table(table);
    if (result.overall.auc_error)
        fmt::print("\nauc comes from 4096 score bins; the exact value differs by at most {:.1e}\n", *result.overall.auc_error);
}

void print_confusion(const Result& result, const ModelDescription& description) {
    const std::size_t classes = description.problem.classes;
    if (!result.sums.has_confusion() || classes > most_classes_shown) return;
    const auto name = [&](std::size_t c) { return description.class_names.empty() ? std::to_string(c) : description.class_names[c]; };
    std::vector<std::vector<std::string>> table{{"label \\ predicted"}};
    for (std::size_t actual = 0; actual < classes; ++actual) {
        table[0].push_back(name(actual));
        std::vector<std::string> row{name(actual)};
        for (std::size_t predicted = 0; predicted < classes; ++predicted)
            row.push_back(std::to_string(result.sums.confusion(actual, predicted)));
        table.push_back(row);
    }
    fmt::print("\n");
    print_table(table);
}

nlohmann::ordered_json as_json(const Result& result, const LoadedModel& model) {
    const Problem& problem = model.model.description.problem;
    nlohmann::ordered_json json{{"model", model.path.string()},
                                {"model_sha256", model.model.sha256},
                                {"round", model.model.description.round},
                                {"task", to_string(problem.task)},
                                {"split", result.split},
                                {"shards", nlohmann::ordered_json::array()},
                                {"overall", result.overall.to_json(problem.task)},
                                {"spread", nlohmann::ordered_json::object()}};
    for (const ShardMetrics& shard : result.shards) {
        nlohmann::ordered_json row{{"silo", shard.silo}, {"path", shard.path}};
        row.update(shard.metrics.to_json(problem.task));
        json["shards"].push_back(row);
    }
    for (const std::string& name : metric_names(problem.task)) {
        const auto spread = spread_of(result, name);
        if (!spread) continue;
        json["spread"][name] = {{"mean", spread->mean},
                                {"min", spread->min},
                                {"max", spread->max},
                                {"deviation", spread->deviation},
                                {"worst", result.shards[spread->worst].silo}};
    }
    if (result.sums.has_confusion()) {
        for (std::size_t actual = 0; actual < problem.classes; ++actual) {
            std::vector<std::uint64_t> row;
            for (std::size_t predicted = 0; predicted < problem.classes; ++predicted)
                row.push_back(result.sums.confusion(actual, predicted));
            json["confusion"].push_back(row);
        }
    }
    return json;
}

}  // namespace

int run_evaluate(const std::vector<std::string>& arguments) {
    std::string model_file, split;
    std::vector<std::string> shards;
    std::size_t threads = 1;
    po::options_description options("Options");
    options.add_options()("model", po::value(&model_file)->required(), "model file, such as runs/NAME/model.h5")(
        "data", po::value(&shards)->required()->multitoken(), "shards, of silos or common test shards, or folders of shards")(
        "split", po::value(&split)->default_value("test"), "rows to measure: train, validation or test")(
        "threads", po::value(&threads)->default_value(1), "threads; the result is the same for any number")(
        "json", "print one JSON object instead of tables")("help", "this text");
    const po::variables_map given = read_verb_options(arguments, options);
    if (given.contains("help")) {
        fmt::print(
            "Measures a model on shards, each and all together.\n\n"
            "  silosum evaluate --model runs/penguins/model.h5 --data shards/*.h5\n\n{}",
            fmt::streamed(options));
        return 0;
    }
    require(threads >= 1 && threads <= 1024, "--threads must be from 1 to 1024, got {}", threads);
    LoadedModel model(model_file, threads);
    std::vector<std::string> files;
    for (const auto& file : shard_files(shards, "--data")) files.push_back(file.string());
    const Result result = measure_shards(model, files, split);
    const ModelDescription& description = model.model.description;
    if (given.contains("json")) {
        fmt::print("{}\n", as_json(result, model).dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
        return 0;
    }
    fmt::print("{}: {}, {} rounds, sha256 {}\n", model_file, to_string(description.problem), description.round,
               model.model.sha256.substr(0, 12));
    if (description.standardisation.kind == "silo")
        fmt::print("features are standardised with each shard's own train rows, as in training\n");
    fmt::print("\n");
    print_metrics(result, description.problem.task);
    print_confusion(result, description);
    return 0;
}

}  // namespace silosum

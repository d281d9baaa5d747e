#include "commands/shard_table.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace silosum {

std::vector<std::string> class_names_of(const Shard& shard) {
    if (!shard.class_names.empty()) return shard.class_names;
    std::vector<std::string> names;
    for (std::size_t label = 0; label < shard.problem.classes; ++label) names.push_back(std::to_string(label));
    return names;
}

std::vector<std::size_t> label_counts(const Split& split, std::size_t classes) {
    std::vector<std::size_t> counts(classes, 0);
    for (const std::int32_t label : split.labels) ++counts[static_cast<std::size_t>(label)];
    return counts;
}

void ShardTable::Line::add(const Line& other) {
    const bool is_first = rows() == 0;
    target_low = is_first ? other.target_low : std::min(target_low, other.target_low);
    target_high = is_first ? other.target_high : std::max(target_high, other.target_high);
    target_sum += other.target_sum;
    train += other.train;
    validation += other.validation;
    test += other.test;
    labels.resize(other.labels.size());
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] += other.labels[i];
}

void ShardTable::add(const Shard& shard) {
    is_regression_ = shard.problem.task == Task::regression;
    class_names_ = class_names_of(shard);
    Line line{.silo = shard.silo, .train = shard.train.rows, .validation = shard.validation.rows, .test = shard.test.rows, .labels = {}};
    line.labels.resize(shard.problem.classes);
    bool is_first = true;
    for (const Split* split : {&shard.train, &shard.validation, &shard.test}) {
        const auto counts = label_counts(*split, shard.problem.classes);
        for (std::size_t i = 0; i < counts.size(); ++i) line.labels[i] += counts[i];
        for (const float target : split->targets) {
            line.target_low = is_first ? target : std::min(line.target_low, target);
            line.target_high = is_first ? target : std::max(line.target_high, target);
            line.target_sum += target;
            is_first = false;
        }
    }
    lines_.push_back(std::move(line));
}

std::vector<std::string> ShardTable::cells(const Line& line) const {
    std::vector<std::string> cells{line.silo, std::to_string(line.rows()), std::to_string(line.train), std::to_string(line.validation),
                                   std::to_string(line.test)};
    for (const std::size_t count : line.labels) cells.push_back(std::to_string(count));
    if (is_regression_) {
        cells.push_back(fmt::format("{:.4g}", line.target_sum / static_cast<double>(std::max<std::size_t>(1, line.rows()))));
        cells.push_back(fmt::format("{:.4g}", line.target_low));
        cells.push_back(fmt::format("{:.4g}", line.target_high));
    }
    return cells;
}

std::string ShardTable::text() const {
    std::vector<std::string> header{"silo", "rows", "train", "validation", "test"};
    header.insert(header.end(), class_names_.begin(), class_names_.end());
    if (is_regression_) header.insert(header.end(), {"mean", "lowest", "highest"});
    std::vector<std::vector<std::string>> table{header};
    Line all;
    for (const Line& line : lines_) {
        table.push_back(cells(line));
        all.add(line);
    }
    all.silo = "all";
    table.push_back(cells(all));

    std::vector<std::size_t> widths(header.size(), 0);
    for (const auto& row : table) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string text;
    for (const auto& row : table) {
        text += fmt::format("{:<{}}", row[0], widths[0]);
        for (std::size_t i = 1; i < row.size(); ++i) text += fmt::format("  {:>{}}", row[i], widths[i]);
        text += '\n';
    }
    return text;
}

}  // namespace silosum

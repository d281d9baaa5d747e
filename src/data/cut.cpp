#include "data/cut.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "data/partition.hpp"

namespace silosum {

namespace {

using Rows = std::vector<std::uint32_t>;
using RowsOfSplits = std::array<Rows, 3>;  // by SplitName

Rows& of(RowsOfSplits& splits, SplitName name) {
    return splits[static_cast<std::size_t>(name)];
}

Split gather_split(const Split& all, const Rows& rows) {
    Split split;
    split.rows = rows.size();
    split.features = all.features;
    const auto copy = [&](const auto& from, auto& to, std::size_t width) {
        if (from.empty()) return;
        to.reserve(rows.size() * width);
        for (const std::size_t row : rows) {
            const auto begin = from.begin() + static_cast<std::ptrdiff_t>(row * width);
            to.insert(to.end(), begin, begin + static_cast<std::ptrdiff_t>(width));
        }
    };
    copy(all.bytes, split.bytes, all.features);
    copy(all.floats, split.floats, all.features);
    copy(all.labels, split.labels, 1);
    copy(all.targets, split.targets, 1);
    return split;
}

// Moves about `fraction` of `whole` rows from train to the named split, never the last train row.
void draw(const Source& source, RowsOfSplits& splits, SplitName name, double fraction, std::size_t whole, std::uint32_t silo_number,
          std::uint64_t seed) {
    Rows& train = of(splits, SplitName::train);
    const auto wanted = static_cast<std::size_t>(std::llround(fraction * static_cast<double>(whole)));
    const std::size_t count = std::min(wanted, train.empty() ? 0 : train.size() - 1);
    std::vector<std::int32_t> labels;
    if (!source.rows.labels.empty()) {
        for (const std::uint32_t row : train) labels.push_back(source.rows.labels[row]);
    }
    const auto chosen = choose_stratified(labels, train.size(), count, seed, silo_number, static_cast<std::uint32_t>(name));
    Rows rest;
    for (std::size_t i = 0; i < train.size(); ++i) (chosen[i] ? of(splits, name) : rest).push_back(train[i]);
    train = std::move(rest);
}

// What a missing value of the column becomes: one number for each of its features.
std::vector<float> filling(const Split& train, const SourceColumn& column, const std::string& silo) {
    const std::size_t width = column.features();
    std::vector<double> sums(width, 0.0);
    std::size_t present = 0;
    for (std::size_t row = 0; row < train.rows; ++row) {
        const float* values = train.floats.data() + row * train.features + column.first_feature;
        if (std::isnan(values[0])) continue;
        ++present;
        for (std::size_t f = 0; f < width; ++f) sums[f] += values[f];
    }
    require<DataError>(present > 0,
                       "silo {} has no value of \"{}\" among its train rows to fill missing ones from: give --ignore {} or --missing drop",
                       silo, column.name, column.name);
    if (!column.is_categorical()) return {static_cast<float>(sums[0] / static_cast<double>(present))};
    std::vector<float> one_hot(width, 0.0F);
    const auto largest = std::max_element(sums.begin(), sums.end());
    double first_category = static_cast<double>(present);  // the one without a feature has the rows that no feature has
    for (const double sum : sums) first_category -= sum;
    const bool is_first = column.drops_first && first_category >= *largest;
    if (!is_first) one_hot[static_cast<std::size_t>(largest - sums.begin())] = 1.0F;
    return one_hot;
}

std::size_t fill_missing(Split& split, const SourceColumn& column, const std::vector<float>& values) {
    std::size_t filled = 0;
    for (std::size_t row = 0; row < split.rows; ++row) {
        float* at = split.floats.data() + row * split.features + column.first_feature;
        if (!std::isnan(*at)) continue;
        std::copy(values.begin(), values.end(), at);
        ++filled;
    }
    return filled;
}

void impute(Shard& shard, const std::vector<SourceColumn>& columns, std::vector<std::string>& notes) {
    std::vector<std::string> done;
    for (const SourceColumn& column : columns) {
        if (column.features() == 0) continue;  // one category only, and --drop-first
        const auto misses = [&](const Split& split) {
            for (std::size_t row = 0; row < split.rows; ++row) {
                if (std::isnan(split.floats[row * split.features + column.first_feature])) return true;
            }
            return false;
        };
        if (!misses(shard.train) && !misses(shard.validation) && !misses(shard.test)) continue;
        const std::vector<float> values = filling(shard.train, column, shard.silo);
        const std::size_t filled = fill_missing(shard.train, column, values) + fill_missing(shard.validation, column, values) +
                                   fill_missing(shard.test, column, values);
        done.push_back(column.is_categorical() ? fmt::format("{} {} (most frequent)", filled, column.name)
                                               : fmt::format("{} {} (mean {:.6g})", filled, column.name, values[0]));
    }
    if (!done.empty()) notes.push_back(fmt::format("silo {}: filled from its own train rows: {}", shard.silo, join(done, ", ")));
}

Shard empty_shard(const Source& source) {
    Shard shard;
    shard.problem = source.problem;
    shard.source = source.name;
    shard.pixel_scale = source.pixel_scale;
    shard.pixel_offset = source.pixel_offset;
    shard.class_names = source.class_names;
    shard.feature_names = source.feature_names;
    return shard;
}

}  // namespace

Shard cut_shard(const Source& source, std::span<const std::uint32_t> rows, const std::string& silo, std::uint32_t silo_number,
                const CutSettings& settings, std::vector<std::string>& notes) {
    RowsOfSplits splits;
    for (const std::uint32_t row : rows) {
        of(splits, source.split_of_row.empty() ? SplitName::train : source.split_of_row[row]).push_back(row);
    }
    if (source.split_of_row.empty()) draw(source, splits, SplitName::test, settings.test_fraction, rows.size(), silo_number, settings.seed);
    draw(source, splits, SplitName::validation, settings.validation_fraction, rows.size(), silo_number, settings.seed);
    require<DataError>(!of(splits, SplitName::train).empty(), "silo {} has no train rows", silo);

    Shard shard = empty_shard(source);
    shard.silo = silo;
    shard.train = gather_split(source.rows, of(splits, SplitName::train));
    shard.validation = gather_split(source.rows, of(splits, SplitName::validation));
    shard.test = gather_split(source.rows, of(splits, SplitName::test));
    if (!shard.train.is_bytes()) impute(shard, source.columns, notes);
    return shard;
}

void append_rows(Split& to, const Split& rows) {
    to.rows += rows.rows;
    to.features = rows.features;
    to.bytes.insert(to.bytes.end(), rows.bytes.begin(), rows.bytes.end());
    to.floats.insert(to.floats.end(), rows.floats.begin(), rows.floats.end());
    to.labels.insert(to.labels.end(), rows.labels.begin(), rows.labels.end());
    to.targets.insert(to.targets.end(), rows.targets.begin(), rows.targets.end());
}

Shard common_test_shard(const Source& source) {
    Shard shard = empty_shard(source);
    shard.silo = "common test";
    shard.test = source.common_test;
    return shard;
}

}  // namespace silosum

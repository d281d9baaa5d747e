#include "data/import_csv.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "data/categories.hpp"
#include "data/csv_table.hpp"
#include "data/number_text.hpp"

namespace silosum {

namespace {

// More categories than this are most often names, dates or numbers with a slip in them.
constexpr std::size_t most_guessed_categories = 50;

bool holds(const std::vector<std::string>& words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

struct Row {
    const CsvTable* table;
    std::size_t row;
    const std::vector<std::size_t>* column_of;  // column of the table for each column of the first table
};

class CsvImport {
public:
    CsvImport(const CsvSettings& settings, std::vector<std::string>& notes) : settings_(settings), notes_(notes) {
        check_files();
        for (const auto& file : settings.files) tables_.emplace_back(file, settings.separator, settings.columns);
        for (const auto& table : tables_) column_maps_.push_back(map_columns(table));
        check_names();
        for (std::size_t t = 0; t < tables_.size(); ++t) {
            for (std::size_t row = 0; row < tables_[t].rows(); ++row) rows_.push_back({&tables_[t], row, &column_maps_[t]});
        }
        require<DataError>(!rows_.empty(), "{} holds no rows", settings.files[0].string());
        label_column_ = index_of(settings.label);
    }

    Source run() {
        find_feature_columns();
        handle_missing();
        require<DataError>(!rows_.empty(), "no row is left: each misses a value; leave columns out with --ignore");
        for (const std::size_t column : feature_columns_) add_column(column);
        source_.problem.feature_shape = {source_.feature_names.size()};
        source_.rows.rows = rows_.size();
        source_.rows.features = source_.feature_names.size();
        fill_features();
        fill_labels();
        fill_silos_and_splits();
        source_.name = tables_[0].path().filename().string() + (tables_.size() > 1 ? fmt::format(" and {} more", tables_.size() - 1) : "");
        return std::move(source_);
    }

private:
    [[nodiscard]] const std::vector<std::string>& header() const { return tables_[0].header(); }
    [[nodiscard]] std::string_view cell(const Row& row, std::size_t column) const {
        return row.table->cell(row.row, (*row.column_of)[column]);
    }
    [[nodiscard]] static std::string place(const Row& row) {
        return fmt::format("{} line {}", row.table->path().string(), row.table->line(row.row));
    }
    [[nodiscard]] std::string short_place(const Row& row) const {
        const std::string line = fmt::format("line {}", row.table->line(row.row));
        return tables_.size() > 1 ? row.table->path().filename().string() + " " + line : line;
    }
    [[nodiscard]] bool is_missing(std::string_view text) const { return text.empty() || holds(settings_.missing_values, text); }

    [[nodiscard]] std::size_t index_of(const std::string& name) const {
        const auto found = std::find(header().begin(), header().end(), name);
        if (found == header().end() && header().size() == 1) {
            for (const auto& [separator, word] :
                 {std::pair(';', "';'"), std::pair('\t', "tab"), std::pair(',', "','"), std::pair('|', "'|'")}) {
                const bool is_cut_elsewhere = settings_.separator != separator && header().front().find(separator) != std::string::npos;
                require<DataError>(!is_cut_elsewhere, "{} has one column, \"{}\": did you mean --separator {}?", tables_[0].path().string(),
                                   header().front(), word);
            }
        }
        require<DataError>(found != header().end(), "{}: {}", tables_[0].path().string(), unknown_name("column", name, header()));
        return static_cast<std::size_t>(found - header().begin());
    }

    // Two sites that call their table data.csv must not become one silo.
    void check_files() const {
        for (std::size_t i = 0; i < settings_.files.size(); ++i) {
            for (std::size_t k = 0; k < i; ++k) {
                const auto& one = settings_.files[k];
                const auto& other = settings_.files[i];
                std::error_code ignored;  // a file that is not there has its own message
                require(!std::filesystem::equivalent(one, other, ignored), "{} and {} are the same file: give it once", one.string(),
                        other.string());
                require(
                    !settings_.file_is_silo || file_stem(one) != file_stem(other),
                    "{} and {} would both be the silo \"{}\": rename one, or add a column that names the silo and give --split by:COLUMN",
                    one.string(), other.string(), file_stem(one));
            }
        }
    }

    // Files may order their columns differently, but each needs all that are used.
    [[nodiscard]] std::vector<std::size_t> map_columns(const CsvTable& table) const {
        std::vector<std::size_t> map;
        for (const auto& name : header()) {
            const auto found = std::find(table.header().begin(), table.header().end(), name);
            const bool is_there = found != table.header().end();
            require<DataError>(is_there || holds(settings_.ignore, name),
                               "{} has no column \"{}\", {} has: give --ignore {} to leave it out", table.path().string(), name,
                               tables_[0].path().string(), name);
            map.push_back(is_there ? static_cast<std::size_t>(found - table.header().begin()) : 0);
        }
        for (const auto& name : table.header()) {
            require<DataError>(holds(header(), name) || holds(settings_.ignore, name),
                               "{} has a column \"{}\", {} has not: give --ignore {} to leave it out", table.path().string(), name,
                               tables_[0].path().string(), name);
        }
        return map;
    }

    void check_names() const {
        require(!settings_.label.empty(), "a CSV source needs --label COLUMN; {} has {}", tables_[0].path().string(), join(header(), ", "));
        (void)index_of(settings_.label);
        for (const auto& [what, name] : {std::pair("--label", settings_.label), std::pair("--split by:COLUMN", settings_.silo_column),
                                         std::pair("--set-column", settings_.set_column)}) {
            require(name.empty() || !holds(settings_.ignore, name), "{} {} and --ignore {}: a column that is used cannot be left out", what,
                    name, name);
        }
        if (!settings_.silo_column.empty()) (void)index_of(settings_.silo_column);
        if (!settings_.set_column.empty()) (void)index_of(settings_.set_column);
        for (const auto* names : {&settings_.categorical, &settings_.numeric}) {
            for (const auto& name : *names) (void)index_of(name);
        }
        for (const auto& name : settings_.ignore) {
            const bool known =
                std::any_of(tables_.begin(), tables_.end(), [&](const CsvTable& table) { return holds(table.header(), name); });
            require<DataError>(known, "{}: --ignore: {}", tables_[0].path().string(), unknown_name("column", name, header()));
        }
        for (const auto& name : settings_.categorical) {
            require(!holds(settings_.numeric, name), "column \"{}\" is in both --categorical and --numeric", name);
        }
    }

    void find_feature_columns() {
        for (std::size_t column = 0; column < header().size(); ++column) {
            const std::string& name = header()[column];
            const bool has_role = name == settings_.label || name == settings_.silo_column || name == settings_.set_column;
            if (!has_role && !holds(settings_.ignore, name)) feature_columns_.push_back(column);
        }
        require<DataError>(!feature_columns_.empty(), "{}: no column is left for the features", tables_[0].path().string());
    }

    // A row without a label teaches nothing: no value can stand in for it.
    void check_labels() const {
        if (settings_.missing != MissingPolicy::error) return;
        std::size_t count = 0;
        const Row* first = nullptr;
        for (const Row& row : rows_) {
            if (is_missing(cell(row, label_column_)) && count++ == 0) first = &row;
        }
        require<DataError>(count == 0, "{}: {} of {} rows have no label (the column \"{}\", first in {}): --missing drop leaves them out",
                           tables_[0].path().string(), count, rows_.size(), settings_.label, first == nullptr ? "" : short_place(*first));
    }

    void handle_missing() {
        check_labels();
        std::vector<std::string> columns;
        std::vector<std::size_t> used = feature_columns_;
        used.push_back(label_column_);
        for (const std::size_t column : used) {
            std::size_t count = 0;
            const Row* first = nullptr;
            for (const Row& row : rows_) {
                if (!is_missing(cell(row, column))) continue;
                if (count++ == 0) first = &row;
            }
            if (count > 0) columns.push_back(fmt::format("{} {} (first in {})", header()[column], count, short_place(*first)));
        }
        if (columns.empty()) {
            notes_.push_back("missing values: none");
            return;
        }
        require<DataError>(settings_.missing != MissingPolicy::error,
                           "{}: values are missing in {}: choose --missing drop (the row) or mean (fill), or --ignore the column",
                           tables_[0].path().string(), join(columns, ", "));
        // A row without a label teaches nothing, so it is dropped under either policy.
        const std::vector<std::size_t> needed = settings_.missing == MissingPolicy::drop ? used : std::vector<std::size_t>{label_column_};
        const std::size_t before = rows_.size();
        std::erase_if(rows_, [&](const Row& row) {
            return std::any_of(needed.begin(), needed.end(), [&](std::size_t column) { return is_missing(cell(row, column)); });
        });
        notes_.push_back(fmt::format("missing values: {}", join(columns, ", ")));
        const std::size_t dropped = before - rows_.size();
        if (settings_.missing == MissingPolicy::drop) {
            notes_.push_back(fmt::format("missing values: dropped {} of {} rows", dropped, before));
        } else if (dropped > 0) {
            notes_.push_back(fmt::format("missing labels: dropped {} of {} rows", dropped, before));
        }
    }

    // Adds the column's features; its values come later, when all columns have their places.
    void add_column(std::size_t column) {
        const std::string& name = header()[column];
        Categories::Words words;
        const Row* first_word = nullptr;
        for (const Row& row : rows_) {
            const auto text = cell(row, column);
            if (is_missing(text)) continue;
            if (!number_from(text).has_value() && first_word == nullptr) first_word = &row;
            if (!words.contains(text)) words.emplace(text);
        }
        const bool forced = holds(settings_.categorical, name);
        const bool is_categorical = forced || (first_word != nullptr && !holds(settings_.numeric, name));
        require<DataError>(!words.empty(), "column \"{}\" has no value at all: give --ignore {}", name, name);
        SourceColumn out{.name = name, .first_feature = source_.feature_names.size(), .categories = {}, .drops_first = false};
        if (!is_categorical) {
            if (first_word != nullptr) {
                throw DataError(
                    fmt::format("{}: \"{}\" in the column \"{}\" is not a number", place(*first_word), cell(*first_word, column), name));
            }
            source_.feature_names.push_back(name);
            numeric_names_.push_back(name);
            source_.columns.push_back(std::move(out));
            return;
        }
        if (!forced && words.size() > most_guessed_categories) {
            throw DataError(fmt::format(
                "column \"{}\" has {} different values that are not all numbers (first \"{}\" in {}): --missing-values {} "
                "if it stands for a missing one, --ignore {}, or --categorical {} to make {} features of it",
                name, words.size(), cell(*first_word, column), place(*first_word), cell(*first_word, column), name, name, words.size()));
        }
        const Categories& categories = categories_.emplace(name, words).first->second;
        out.categories = categories.names();
        out.drops_first = settings_.drop_first;
        for (std::size_t i = out.drops_first ? 1 : 0; i < out.categories.size(); ++i) {
            source_.feature_names.push_back(name + "=" + out.categories[i]);
        }
        notes_.push_back(fmt::format("column {}: {} categories {}{}", name, out.categories.size(), join(out.categories, ", "),
                                     out.drops_first ? fmt::format(" ({} is all zeros)", out.categories[0]) : ""));
        source_.columns.push_back(std::move(out));
    }

    void fill_features() {
        if (!numeric_names_.empty()) {
            notes_.push_back(fmt::format("numeric columns ({}): {}", numeric_names_.size(), join(numeric_names_, ", ")));
        }
        const std::size_t features = source_.rows.features;
        require<DataError>(features > 0, "no feature is left: every column has one category and --drop-first leaves nothing of it");
        source_.rows.floats.assign(rows_.size() * features, 0.0F);
        for (std::size_t c = 0; c < source_.columns.size(); ++c) {
            const SourceColumn& column = source_.columns[c];
            for (std::size_t r = 0; r < rows_.size(); ++r) {
                fill_cell(rows_[r], feature_columns_[c], column, source_.rows.floats.data() + r * features + column.first_feature);
            }
        }
    }

    void fill_cell(const Row& row, std::size_t table_column, const SourceColumn& column, float* to) const {
        const auto text = cell(row, table_column);
        if (is_missing(text)) {
            std::fill_n(to, column.features(), std::numeric_limits<float>::quiet_NaN());
            return;
        }
        if (!column.is_categorical()) {
            *to = static_cast<float>(*number_from(text));
            require<DataError>(std::isfinite(*to), "{}: {} in the column \"{}\" is not finite as float32", place(row), text, column.name);
            return;
        }
        const std::size_t index = categories_.at(column.name).index_of(text);
        if (column.drops_first && index == 0) return;
        to[index - (column.drops_first ? 1 : 0)] = 1.0F;
    }

    void fill_labels() {
        Categories::Words different;
        for (const Row& row : rows_) different.emplace(cell(row, label_column_));
        const bool is_numeric =
            std::all_of(different.begin(), different.end(), [](const auto& text) { return number_from(text).has_value(); });
        require(!settings_.task.empty() || !is_numeric,
                "the label \"{}\" is numeric: say --task regression, --task classification or --task binary", settings_.label);
        source_.problem.task = task_from_name(settings_.task.empty() ? "classification" : settings_.task);
        require(settings_.positive.empty() || source_.problem.task == Task::binary, "--positive is for --task binary, the task is {}",
                to_string(source_.problem.task));
        if (source_.problem.task == Task::regression) {
            fill_targets();
            return;
        }
        const Categories labels(different);
        source_.class_names = labels.names();
        const std::size_t classes = source_.class_names.size();
        require<DataError>(classes >= 2, "the label \"{}\" has one value, {}: nothing can be learnt from it", settings_.label,
                           *different.begin());
        require<DataError>(!is_numeric || classes <= most_guessed_categories || 2 * classes <= rows_.size(),
                           "the label \"{}\" has {} different numbers in {} rows: too many to be classes; did you mean --task regression?",
                           settings_.label, classes, rows_.size());
        const bool is_binary = source_.problem.task == Task::binary;
        require<DataError>(!is_binary || classes == 2, "--task binary needs two labels, \"{}\" has {}: {}", settings_.label, classes,
                           join(source_.class_names, ", "));
        source_.problem.classes = classes;
        const bool is_swapped = is_binary && !settings_.positive.empty() && put_positive_last();
        for (const Row& row : rows_) {
            const auto label = static_cast<std::int32_t>(labels.index_of(cell(row, label_column_)));
            source_.rows.labels.push_back(is_swapped ? 1 - label : label);
        }
        notes_.push_back(is_binary
                             ? fmt::format("label {}: {} is 0, {} is 1", settings_.label, source_.class_names[0], source_.class_names[1])
                             : fmt::format("label {}: {} classes {}", settings_.label, classes, join(source_.class_names, ", ")));
    }

    // Returns whether the two labels changed places.
    bool put_positive_last() {
        auto& names = source_.class_names;
        require(holds(names, settings_.positive), "--positive: {}", unknown_name("label", settings_.positive, names));
        if (names[1] == settings_.positive) return false;
        std::swap(names[0], names[1]);
        return true;
    }

    void fill_targets() {
        for (const Row& row : rows_) {
            const auto text = cell(row, label_column_);
            const auto value = number_from(text);
            require<DataError>(value.has_value() && std::isfinite(static_cast<float>(*value)),
                               "{}: the label \"{}\" is not a finite number", place(row), text);
            source_.rows.targets.push_back(static_cast<float>(*value));
        }
        const auto [low, high] = std::minmax_element(source_.rows.targets.begin(), source_.rows.targets.end());
        notes_.push_back(fmt::format("label {}: numbers from {} to {}", settings_.label, *low, *high));
    }

    void fill_silos_and_splits() {
        for (const Row& row : rows_) {
            if (!settings_.silo_column.empty()) {
                const auto text = cell(row, index_of(settings_.silo_column));
                require<DataError>(!is_missing(text), "{}: the column \"{}\" names no silo", place(row), settings_.silo_column);
                source_.silo_of_row.emplace_back(text);
            } else if (settings_.file_is_silo) {
                source_.silo_of_row.push_back(file_stem(row.table->path()));
            }
            if (!settings_.set_column.empty()) source_.split_of_row.push_back(split_name(row));
        }
    }

    [[nodiscard]] static std::string file_stem(const std::filesystem::path& path) {
        const auto stem = path.extension() == ".gz" ? path.stem().stem() : path.stem();
        return stem.string();
    }

    [[nodiscard]] SplitName split_name(const Row& row) const {
        const auto text = cell(row, index_of(settings_.set_column));
        if (text == "train") return SplitName::train;
        if (text == "test") return SplitName::test;
        require<DataError>(text == "validation", "{}: \"{}\" in the column \"{}\" is not train, validation or test", place(row), text,
                           settings_.set_column);
        return SplitName::validation;
    }

    const CsvSettings& settings_;
    std::vector<std::string>& notes_;
    std::vector<CsvTable> tables_;
    std::vector<std::vector<std::size_t>> column_maps_;
    std::vector<Row> rows_;
    std::size_t label_column_ = 0;
    std::vector<std::size_t> feature_columns_;
    std::vector<std::string> numeric_names_;
    std::map<std::string, Categories> categories_;  // by the name of the column
    Source source_;
};

}  // namespace

Source import_csv(const CsvSettings& settings, std::vector<std::string>& notes) {
    return CsvImport(settings, notes).run();
}

}  // namespace silosum

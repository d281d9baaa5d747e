#include "commands/inspect.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <fmt/ostream.h>
#include <fmt/ranges.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "commands/shard_table.hpp"
#include "commands/verb_options.hpp"
#include "data/data_config.hpp"
#include "data/shard.hpp"

namespace silosum {

namespace {

namespace po = boost::program_options;

// A range for each feature is read by nobody when there are more.
constexpr std::size_t most_features_shown = 40;

std::string split_text(const Shard& shard, const Split& split) {
    if (split.rows == 0) return "none";
    std::string text = fmt::format("{} rows", split.rows);
    if (!split.targets.empty()) {
        const auto [low, high] = std::minmax_element(split.targets.begin(), split.targets.end());
        return text + fmt::format(": y from {:.6g} to {:.6g}", *low, *high);
    }
    const auto names = class_names_of(shard);
    const auto counts = label_counts(split, shard.problem.classes);
    std::vector<std::string> words;
    for (std::size_t i = 0; i < counts.size(); ++i) words.push_back(fmt::format("{} {}", names[i], counts[i]));
    return text + ": " + join(words, ", ");
}

struct ValueRange {
    double low = 0.0, high = 0.0, sum = 0.0;
    std::size_t count = 0;

    void add(double value) {
        low = count == 0 ? value : std::min(low, value);
        high = count == 0 ? value : std::max(high, value);
        sum += value;
        ++count;
    }
    [[nodiscard]] std::string text() const {
        return count == 0 ? "no values" : fmt::format("{:.6g} to {:.6g}, mean {:.6g}", low, high, sum / static_cast<double>(count));
    }
};

// Ranges over all splits: of every feature, or of all values together.
std::vector<ValueRange> ranges_of(const Shard& shard, bool per_feature) {
    std::vector<ValueRange> ranges(per_feature ? shard.problem.features() : 1);
    for (const Split* split : {&shard.train, &shard.validation, &shard.test}) {
        const std::size_t values = split->rows * split->features;
        for (std::size_t i = 0; i < values; ++i) {
            const double value = split->is_bytes()
                                     ? split->bytes[i] * static_cast<double>(shard.pixel_scale) + static_cast<double>(shard.pixel_offset)
                                     : static_cast<double>(split->floats[i]);
            ranges[per_feature ? i % split->features : 0].add(value);
        }
    }
    return ranges;
}

void print_shard(const Shard& shard) {
    const Split& any = shard.train.rows > 0 ? shard.train : shard.test;
    fmt::print("{}\n", shard.path.string());
    fmt::print("  silo         {}\n", shard.silo);
    fmt::print("  source       {}\n", shard.source.empty() ? "not said" : shard.source);
    fmt::print("  task         {}\n", to_string(shard.problem));
    fmt::print("  values       {}\n",
               any.is_bytes() ? fmt::format("uint8 * {:.6g} + {:.6g}", shard.pixel_scale, shard.pixel_offset) : "float32");
    fmt::print("  train        {}\n", split_text(shard, shard.train));
    fmt::print("  validation   {}\n", split_text(shard, shard.validation));
    fmt::print("  test         {}\n", split_text(shard, shard.test));
    const std::size_t features = shard.problem.features();
    const bool per_feature = !any.is_bytes() && features <= most_features_shown;
    const auto ranges = ranges_of(shard, per_feature);
    if (!per_feature) {
        fmt::print("  x            {}\n", ranges[0].text());
    } else {
        std::vector<std::string> names = shard.feature_names;
        for (std::size_t f = names.size(); f < features; ++f) names.push_back(fmt::format("feature {}", f));
        std::size_t width = 0;
        for (const auto& name : names) width = std::max(width, name.size());
        for (std::size_t f = 0; f < features; ++f) fmt::print("  x            {:<{}}  {}\n", names[f], width, ranges[f].text());
    }
    fmt::print("  fingerprint  {}\n", shard.fingerprint);
}

// Silos of one federation learn one task from features of one shape, and have names of their own.
class FederationCheck {
public:
    void add(const Shard& shard, std::vector<std::string>& problems) {
        const std::string path = shard.path.string();
        if (!first_problem_.has_value()) {
            first_problem_ = shard.problem;
            first_path_ = path;
            first_classes_ = class_names_of(shard);
            first_features_ = shard.feature_names;
        }
        if (!(shard.problem == *first_problem_)) {
            problems.push_back(fmt::format("{}: {}; {} is {}", path, to_string(shard.problem), first_path_, to_string(*first_problem_)));
        } else if (class_names_of(shard) != first_classes_) {
            problems.push_back(fmt::format("{}: the classes are {}; in {} they are {}", path, join(class_names_of(shard), ", "),
                                           first_path_, join(first_classes_, ", ")));
        } else if (shard.feature_names != first_features_) {
            problems.push_back(fmt::format("{}: the names of the features differ from those of {}", path, first_path_));
        }
        const auto [other, is_new] = path_of_silo_.emplace(shard.silo, path);
        if (!is_new) problems.push_back(fmt::format("{}: the silo is called \"{}\", as in {}", path, shard.silo, other->second));
    }

private:
    std::optional<Problem> first_problem_;
    std::string first_path_;
    std::vector<std::string> first_classes_, first_features_;
    std::map<std::string, std::string> path_of_silo_;
};

}  // namespace

int run_inspect(const std::vector<std::string>& arguments) {
    std::vector<std::string> entries;
    po::options_description options("Options");
    options.add_options()("file", po::value(&entries)->required(), "shards, or folders of them (--file may be left out)")("help",
                                                                                                                          "this text");
    const po::variables_map given = read_verb_options(arguments, options, "file");
    if (given.contains("help")) {
        fmt::print(
            "Shows what is in shards and checks that they can be used, each by itself and all together.\n\n"
            "  silosum inspect shards/*.h5\n\n{}",
            fmt::streamed(options));
        return 0;
    }
    std::vector<std::string> problems;
    FederationCheck federation;
    for (const auto& file : shard_files(entries, "inspect")) {
        const std::size_t before = problems.size();
        try {
            const Shard shard = inspect_shard(file, problems);
            federation.add(shard, problems);
            print_shard(shard);
            fmt::print("  checks       {}\n", problems.size() == before ? "good" : "see below");
        } catch (const DataError& error) {
            problems.push_back(error.what());
        }
    }
    std::fflush(stdout);
    for (const auto& problem : problems) fmt::print(stderr, "problem: {}\n", problem);
    return static_cast<int>(problems.empty() ? ExitCode::done : ExitCode::data);
}

}  // namespace silosum

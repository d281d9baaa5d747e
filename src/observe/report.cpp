#include "observe/report.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include <fmt/format.h>

#include "base/text.hpp"
#include "base/version.hpp"
#include "observe/axis.hpp"
#include "observe/html.hpp"
#include "observe/report_charts.hpp"

namespace silosum {

namespace {

using html::Cell;
using nlohmann::json;

// A longer table is folded.
constexpr std::size_t most_shown_rows = 24;

// The last round that has measured the split, or null.
const json* last_measured(const RunRecord& run, const std::string& split) {
    const auto found = std::find_if(run.rounds.rbegin(), run.rounds.rend(),
                                    [&](const json& round) { return entry(round, overall_of(split) + "loss") != nullptr; });
    return found == run.rounds.rend() ? nullptr : &*found;
}

// The split that says how good the model of single silos' rows is.
std::string silo_split(const RunRecord& run) {
    for (const char* split : {"test", "validation"}) {
        if (last_measured(run, split) != nullptr) return split;
    }
    return "";
}

std::string shown(std::optional<double> value) {
    return value && std::isfinite(*value) ? fmt::format("{:.4g}", *value) : "";
}

double sum_of(const RunRecord& run, const std::string& pointer) {
    double sum = 0;
    for (const json& round : run.rounds) {
        const double value = number(round, pointer).value_or(0);
        if (std::isfinite(value)) sum += value;
    }
    return sum;
}

std::string state_of(const RunRecord& run) {
    if (run.summary.is_null()) return "not ended";
    const std::string reason = text(run.summary, "/stop_reason");
    return reason.empty() ? "done" : "stopped: " + reason;
}

std::string of_summary(const RunRecord& run, const std::string& key, const std::string& unit = "") {
    const auto value = number(run.summary, "/" + key);
    if (!value || !std::isfinite(*value)) return text(run.summary, "/" + key);
    return unit.empty() ? fmt::format("{:.0f}", *value) : plot::number_text(*value, unit);
}

std::string clipped_of(const RunRecord& run) {
    const auto rounds =
        std::count_if(run.rounds.begin(), run.rounds.end(), [](const json& round) { return number(round, "/clipped").value_or(0) > 0; });
    if (rounds == 0) return "none";
    return fmt::format("{:.0f} in {}", sum_of(run, "/clipped"), counted(static_cast<std::size_t>(rounds), "round"));
}

std::string last_hash(const RunRecord& run) {
    return run.rounds.empty() ? text(run.summary, "/model_sha256") : text(run.rounds.back(), "/model_sha256");
}

// How far two runs have the same model, by the hashes of rounds that both have.
std::string agreement(const RunRecord& run, const RunRecord& with) {
    std::size_t compared = 0;
    auto other = with.rounds.begin();
    for (const json& round : run.rounds) {
        while (other != with.rounds.end() && (*other)["round"] < round["round"]) ++other;
        if (other == with.rounds.end()) break;
        if ((*other)["round"] != round["round"]) continue;
        if (text(*other, "/model_sha256") != text(round, "/model_sha256"))
            return compared == 0 ? "in no round" : fmt::format("up to round {}", round["round"].get<std::uint64_t>() - 1);
        ++compared;
    }
    return compared == 0 ? "no round in common" : "in all rounds in common: " + std::to_string(compared);
}

// One column a run. A row without any value is left out.
class Facts {
public:
    explicit Facts(const std::vector<RunRecord>& runs) : runs_(runs) {
        if (runs.size() == 1) return;  // its name is the title
        table_.columns.emplace_back("");
        for (const RunRecord& run : runs) table_.columns.push_back(run.name);
    }
    void add(const std::string& heading, const std::function<std::string(const RunRecord&)>& value, const std::string& kind = "") {
        std::vector<Cell> row{{heading}};
        for (const RunRecord& run : runs_) row.push_back({value(run), kind});
        if (std::any_of(row.begin() + 1, row.end(), [](const Cell& cell) { return !cell.text.empty(); })) table_.rows.push_back(row);
    }
    [[nodiscard]] std::string html() const { return html::table(table_); }

private:
    const std::vector<RunRecord>& runs_;
    html::Table table_;
};

void add_measurements(Facts& facts, const std::string& split) {
    const auto value_of = [split](const RunRecord& run, const std::string& metric) {
        const json* round = last_measured(run, split);
        return round == nullptr ? std::nullopt : number(*round, overall_of(split) + metric);
    };
    for (const char* metric : {"accuracy", "rmse", "loss"})
        facts.add(fmt::format("{} {}", in_words(split), metric), [&](const RunRecord& run) { return shown(value_of(run, metric)); });
    facts.add(fmt::format("worst silo, {}", in_words(split)), [&](const RunRecord& run) {
        const json* round = last_measured(run, split);
        const std::string metric = main_metric(run), spread = "/" + split + "/" + metric;
        if (round == nullptr || text(*round, spread + "/worst").empty()) return std::string();
        return fmt::format("{}: {} {}", text(*round, spread + "/worst"), metric,
                           shown(number(*round, spread + (metric == "rmse" ? "/max" : "/min"))));
    });
}

std::string facts_of(const std::vector<RunRecord>& runs) {
    Facts facts(runs);
    facts.add("state", state_of);
    facts.add("rounds", [](const RunRecord& run) {
        return fmt::format("{} of {}", run.rounds.empty() ? 0 : run.rounds.back()["round"].get<std::uint64_t>(),
                           run.configured("run.rounds"));
    });
    facts.add("silos, ranks",
              [](const RunRecord& run) { return run.summary.is_null() ? "" : of_summary(run, "silos") + ", " + of_summary(run, "ranks"); });
    facts.add("parameters", [](const RunRecord& run) { return of_summary(run, "parameters"); });
    facts.add("sums", [](const RunRecord& run) { return run.is_secure() ? "under masks" : "plain"; });
    facts.add("claim", [](const RunRecord& run) { return text(run.summary, "/secure"); });
    facts.add("updates travel by", [](const RunRecord& run) { return of_summary(run, "transport"); });
    for (const char* split : {"test", "validation", "common_test"}) add_measurements(facts, split);
    facts.add("best validation", [](const RunRecord& run) {
        const auto value = number(run.summary, "/best/" + run.configured("eval.best_metric"));
        return value ? fmt::format("{} {} after round {}", run.configured("eval.best_metric"), shown(value),
                                   shown(number(run.summary, "/best/round")))
                     : "";
    });
    facts.add("bytes sent",
              [](const RunRecord& run) { return run.rounds.empty() ? "" : plot::number_text(sum_of(run, "/bytes_sent"), "B"); });
    facts.add("clipped coordinates", clipped_of);
    facts.add("wall time of the last start", [](const RunRecord& run) { return of_summary(run, "wall_seconds", "s"); });
    facts.add("most memory of a rank", [](const RunRecord& run) { return of_summary(run, "peak_rank_bytes", "B"); });
    facts.add("instruction set, threads",
              [](const RunRecord& run) { return run.summary.is_null() ? "" : of_summary(run, "isa") + ", " + of_summary(run, "threads"); });
    facts.add("silosum", [](const RunRecord& run) { return of_summary(run, "silosum"); });
    facts.add("model SHA-256", last_hash, "hash");
    if (runs.size() > 1) {
        const RunRecord& first = runs.front();
        facts.add("model equal to " + first.name + "'s", [&](const RunRecord& run) { return &run == &first ? "" : agreement(run, first); });
    }
    return facts.html();
}

std::string warnings_of(const std::vector<RunRecord>& runs) {
    std::string html;
    for (const RunRecord& run : runs) {
        for (const auto& warning : run.warnings) html += html::paragraph(run.name + ": " + warning, "warning");
    }
    return html;
}

// Mean wall seconds of a round and their share, by phase.
std::string times_of(const std::vector<RunRecord>& runs) {
    html::Table table{.caption = "Wall time of a mean round by phase, and its share of their sum", .columns = {"phase"}, .rows = {}};
    std::vector<double> sums;
    const auto phases = phases_of(runs);
    for (const RunRecord& run : runs) {
        table.columns.push_back(run.name);
        table.columns.emplace_back("share");
        double sum = 0;
        for (const auto& phase : phases) sum += sum_of(run, "/seconds/" + phase + "/wall");
        sums.push_back(sum);
    }
    for (const auto& phase : phases) {
        std::vector<Cell> row{{phase}};
        for (std::size_t i = 0; i < runs.size(); ++i) {
            const double seconds = sum_of(runs[i], "/seconds/" + phase + "/wall");
            const bool is_there = seconds > 0 && !runs[i].rounds.empty();
            row.push_back({is_there ? plot::number_text(seconds / static_cast<double>(runs[i].rounds.size()), "s") : "", "number"});
            row.push_back({is_there ? fmt::format("{:.1f} %", 100 * seconds / sums[i]) : "", "number"});
        }
        table.rows.push_back(std::move(row));
    }
    return html::table(table);
}

// How often each silo was the worst.
std::map<std::string, std::size_t> times_worst(const RunRecord& run, const std::string& pointer) {
    std::map<std::string, std::size_t> times;
    for (const json& round : run.rounds) ++times[text(round, pointer)];
    return times;
}

std::string silos_of(const RunRecord& run) {
    if (run.is_secure())
        return html::paragraph(run.name + " summed under masks: nothing of single silos is recorded, so there is nothing to show of them.",
                               "faint");
    const std::string split = silo_split(run);
    const json* round = split.empty() ? nullptr : last_measured(run, split);
    const json* silos = round == nullptr ? nullptr : entry(*round, "/" + split + "/silos");
    if (silos == nullptr || !silos->is_array()) return html::paragraph(run.name + ": no rows of single silos were measured.", "faint");
    const std::string metric = main_metric(run);
    html::Table table{.caption = fmt::format("{}: {} rows after round {}", run.name, split, shown(number(*round, "/round"))),
                      .columns = {"silo", "rows", metric, "loss", "times worst"},
                      .rows = {}};
    const json* alone = entry(run.summary, "/alone");
    const bool with_alone = alone != nullptr && alone->is_object();
    if (with_alone) table.columns.push_back(metric + " trained alone");
    const std::string pointer = "/" + split + "/" + metric + "/worst";
    const std::string worst = text(*round, pointer);
    auto times = times_worst(run, pointer);
    for (const json& silo : *silos) {
        const std::string name = text(silo, "/silo");
        const std::string mark = name == worst ? "number differs" : "number";
        std::vector<Cell> row{{name},
                              {shown(number(silo, "/rows")), "number"},
                              {shown(number(silo, "/" + metric)), mark},
                              {shown(number(silo, "/loss")), "number"},
                              {std::to_string(times[name]), "number"}};
        if (with_alone) {
            const bool is_there = alone->contains(name);
            row.push_back({is_there ? shown(number((*alone)[name], "/" + metric)) : "", "number"});
        }
        table.rows.push_back(std::move(row));
    }
    const std::string html = html::table(table);
    return table.rows.size() <= most_shown_rows ? html
                                                : html::folded(fmt::format("{}: {}", run.name, counted(table.rows.size(), "silo")), html);
}

std::vector<std::string> keys_of(const std::vector<RunRecord>& runs) {
    std::vector<std::string> keys;
    for (const RunRecord& run : runs) {
        for (const auto& [key, value] : run.configuration) {
            if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
        }
    }
    return keys;
}

bool has_key(const RunRecord& run, const std::string& key) {
    return std::any_of(run.configuration.begin(), run.configuration.end(), [&](const auto& pair) { return pair.first == key; });
}

std::string configuration_of(const std::vector<RunRecord>& runs) {
    html::Table all{.caption = "", .columns = {"key"}, .rows = {}};
    for (const RunRecord& run : runs) all.columns.push_back(run.name);
    html::Table different = all;
    different.caption = "What differs";
    for (const auto& key : keys_of(runs)) {
        std::vector<Cell> row{{key}};
        for (const RunRecord& run : runs) row.push_back({has_key(run, key) ? run.configured(key) : "not used", "hash"});
        const bool differs = std::any_of(row.begin() + 1, row.end(), [&](const Cell& cell) { return cell.text != row[1].text; });
        // Every run has a folder of its own.
        if (differs && key != "run.dir") different.rows.push_back(row);
        if (differs) std::for_each(row.begin() + 1, row.end(), [](Cell& cell) { cell.kind += " differs"; });
        all.rows.push_back(std::move(row));
    }
    if (runs.size() == 1) return html::table(all);
    const std::string whole = html::folded(counted(all.rows.size(), "key") + ", with every default", html::table(all));
    return (different.rows.empty() ? html::paragraph("The runs have one configuration.") : html::table(different)) + whole;
}

// The numbers behind the curves.
std::string rounds_of(const RunRecord& run) {
    html::Table table{.caption = "", .columns = {"round", "participants", "trained", "loss in training"}, .rows = {}};
    const auto splits = measured_splits(run);
    const std::string metric = main_metric(run);
    for (const auto& split : splits) {
        table.columns.push_back(in_words(split) + " " + metric);
        if (split != "common_test" && !run.is_secure()) table.columns.emplace_back("worst silo");
    }
    for (const char* column : {"bytes sent", "range", "clipped", "model SHA-256"}) table.columns.emplace_back(column);
    for (const json& round : run.rounds) {
        std::vector<Cell> row;
        for (const char* key : {"/round", "/participants", "/trained"})
            row.push_back({fmt::format("{:.0f}", number(round, key).value_or(0)), "number"});
        row.push_back({shown(number(round, "/train_loss")), "number"});
        for (const auto& split : splits) {
            row.push_back({shown(number(round, overall_of(split) + metric)), "number"});
            if (split != "common_test" && !run.is_secure()) row.push_back({text(round, "/" + split + "/" + metric + "/worst")});
        }
        row.push_back({fmt::format("{:.0f}", number(round, "/bytes_sent").value_or(0)), "number"});
        row.push_back({shown(number(round, "/range")), "number"});
        row.push_back({fmt::format("{:.0f}", number(round, "/clipped").value_or(0)), "number"});
        row.push_back({text(round, "/model_sha256"), "hash"});
        table.rows.push_back(std::move(row));
    }
    return html::folded(fmt::format("{}: {} in numbers", run.name, counted(run.rounds.size(), "round")), html::table(table));
}

}  // namespace

std::string report_of(const std::vector<RunRecord>& runs) {
    std::vector<std::string> names;
    for (const RunRecord& run : runs) names.push_back(run.name);
    const std::string title = (runs.size() == 1 ? "Training run " : "Training runs ") + join(names, ", ");
    const bool has_rounds = std::any_of(runs.begin(), runs.end(), [](const RunRecord& run) { return !run.rounds.empty(); });

    std::string body = fmt::format("<h1>{}</h1>\n", html::escape(title)) + warnings_of(runs) + facts_of(runs);
    if (has_rounds) {
        body += "<h2>Curves</h2>\n" + charts_of(runs) + "<h2>Time</h2>\n" + times_of(runs) + "<h2>Silos</h2>\n";
        for (const RunRecord& run : runs) body += silos_of(run);
        body += "<h2>Rounds</h2>\n";
        for (const RunRecord& run : runs) body += rounds_of(run);
    }
    body += "<h2>Configuration</h2>\n" + configuration_of(runs);
    body += fmt::format("<footer>Written by silosum {} from the run folders alone.</footer>\n", version);
    return html::page(report_format, title, body);
}

}  // namespace silosum

#include "observe/run_record.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "base/text.hpp"

namespace silosum {

namespace {

// Values are shown, not used: of a configuration by another version of the program, too.
std::vector<std::pair<std::string, std::string>> keys_of(const std::string& config) {
    std::vector<std::pair<std::string, std::string>> keys;
    std::string section;
    for (const auto& raw : split(config, '\n')) {
        const std::string line = trim(raw);
        const std::size_t equals = line.find('=');
        if (line.empty() || line.starts_with('#')) continue;
        if (line.starts_with('[') && line.ends_with(']')) {
            section = line.substr(1, line.size() - 2) + ".";
        } else if (equals != std::string::npos) {
            keys.emplace_back(section + trim(line.substr(0, equals)), trim(line.substr(equals + 1)));
        }
    }
    return keys;
}

void read_rounds(const std::string& metrics, RunRecord& run) {
    const auto lines = split(metrics, '\n');
    std::vector<std::string> damaged;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (lines[i].empty()) continue;
        auto round = nlohmann::json::parse(lines[i], nullptr, false);
        if (round.is_object() && round.contains("round") && round["round"].is_number_unsigned()) {
            run.rounds.push_back(std::move(round));
        } else if (i + 1 == lines.size()) {
            run.warnings.emplace_back(
                "The last line of metrics.jsonl is cut off, as by a run that was killed or is writing it: it is left out.");
        } else {
            damaged.push_back(std::to_string(i + 1));
        }
    }
    std::stable_sort(run.rounds.begin(), run.rounds.end(), [](const auto& a, const auto& b) { return a["round"] < b["round"]; });
    if (!damaged.empty()) run.warnings.push_back(fmt::format("Damaged lines of metrics.jsonl are left out: {}.", join(damaged, ", ")));
    if (run.rounds.empty()) run.warnings.emplace_back("No round has ended yet: there is nothing to draw.");
}

}  // namespace

std::string RunRecord::configured(const std::string& key) const {
    const auto found = std::find_if(configuration.begin(), configuration.end(), [&](const auto& pair) { return pair.first == key; });
    return found == configuration.end() ? "" : found->second;
}

RunRecord read_run(const std::string& name, const std::string& config, const std::string& metrics, const std::string& summary) {
    RunRecord run;
    run.name = name;
    run.configuration = keys_of(config);
    read_rounds(metrics, run);
    run.summary = nlohmann::json::parse(summary, nullptr, false);
    if (run.summary.is_object()) return run;
    run.summary = nullptr;
    run.warnings.emplace_back(summary.empty() ? "There is no summary.json: the run is still going, or ended before it could write one."
                                              : "summary.json is damaged and left out.");
    return run;
}

const nlohmann::json* entry(const nlohmann::json& record, const std::string& pointer) {
    const nlohmann::json* at = &record;
    for (const auto& key : split(pointer.substr(1), '/')) {
        if (!at->is_object() || !at->contains(key)) return nullptr;
        at = &(*at)[key];
    }
    return at;
}

std::optional<double> number(const nlohmann::json& record, const std::string& pointer) {
    const nlohmann::json* found = entry(record, pointer);
    if (found == nullptr) return std::nullopt;
    return found->is_number() ? found->get<double>() : std::numeric_limits<double>::quiet_NaN();
}

std::string text(const nlohmann::json& record, const std::string& pointer) {
    const nlohmann::json* found = entry(record, pointer);
    return found != nullptr && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace silosum

// What a run folder says about a run, read back for people: as much of it as is there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace silosum {

struct RunRecord {
    std::string name;
    std::vector<std::pair<std::string, std::string>> configuration;  // "section.key" and its value, in the order of the file
    std::vector<nlohmann::json> rounds;                              // lines of metrics.jsonl
    nlohmann::json summary;                                          // null until the run has ended or stopped
    std::vector<std::string> warnings;                               // what is missing or damaged

    /// Value of a key; "" where the run does not use it.
    [[nodiscard]] std::string configured(const std::string& key) const;
    /// Whether sums were under masks: nothing of single silos is recorded then.
    [[nodiscard]] bool is_secure() const { return configured("exchange.secure") == "true"; }
};

/// From the texts of config.cfg, metrics.jsonl and summary.json ("" for one that is not there). Never throws for what a run that was
/// killed, or is going on, leaves behind; what cannot be read is left out and told in `warnings`.
[[nodiscard]] RunRecord read_run(const std::string& name, const std::string& config, const std::string& metrics,
                                 const std::string& summary);

/// The entry that "/test/overall/loss" points at, if it is there.
[[nodiscard]] const nlohmann::json* entry(const nlohmann::json& record, const std::string& pointer);
/// The number there; NaN where it is null or no number, empty where it is absent.
[[nodiscard]] std::optional<double> number(const nlohmann::json& record, const std::string& pointer);
/// The text there, or "".
[[nodiscard]] std::string text(const nlohmann::json& record, const std::string& pointer);

}  // namespace silosum

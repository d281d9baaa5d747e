#include "observe/round_facts.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "comm/collectives.hpp"

namespace silosum {

namespace {

// Training losses of the participants by silo, on rank 0.
nlohmann::ordered_json train_losses(const Federation& federation, const Round& round) {
    nlohmann::ordered_json mine = nlohmann::ordered_json::array();
    for (const Silo& silo : federation.silos) {
        if (!round.includes(silo.id()) || !federation.ranks->is_first()) continue;
        const auto loss = silo.last_loss();
        mine.push_back(
            {{"id", silo.id()}, {"silo", silo.name()}, {"loss", loss ? nlohmann::ordered_json(*loss) : nlohmann::ordered_json()}});
    }
    std::vector<nlohmann::ordered_json> rows;
    for (const auto& text : gather_text(federation.world, mine.dump(), 0)) {
        for (auto& row : nlohmann::ordered_json::parse(text)) rows.push_back(row);
    }
    std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a["id"] < b["id"]; });
    for (auto& row : rows) row.erase("id");
    return rows;
}

}  // namespace

void RoundFacts::after_round(RoundReport& report) {
    const Aggregate& sum = report.aggregate;
    auto& record = report.record;
    for (const auto& [phase, time] : federation_.exchange->clock().phases()) report.clock.add(phase, time);
    record["round"] = report.round.number;
    record["participants"] = report.round.participants.size();
    record["trained"] = sum.trained;
    for (const std::uint32_t silo : federation_.lost) record["lost"].push_back(federation_.census.silos[silo].name);
    record["train_loss"] = sum.numbers[1] > 0 ? nlohmann::ordered_json(sum.numbers[0] / sum.numbers[1]) : nlohmann::ordered_json();
    if (!federation_.sums->hides_silos()) record["train_losses"] = train_losses(federation_, report.round);
    record["weight_sum"] = sum.weight_sum;
    record["steps"] = sum.steps;
    record["range"] = sum.range;
    record["clipped"] = sum.clipped;
    if (sum.clipped > 0 && report.round.number != last_counted_) {
        ++clipped_rounds_;
        clipped_ += sum.clipped;
        last_counted_ = report.round.number;
    }
    record["encoding_error_bound"] = sum.clipped == 0 ? nlohmann::ordered_json(sum.error_bound) : nlohmann::ordered_json();
    std::vector<std::uint64_t> bytes{federation_.exchange->bytes_sent()};
    all_reduce_sum(federation_.world, std::span<std::uint64_t>(bytes));
    record["bytes_sent"] = bytes[0];
    if (sum.is_refused()) record["refused"] = "no participant had any weight; the model is unchanged";
    if (federation_.world.rank() == 0) {
        record["model_sha256"] = report.clock.measure("hash", [&] { return federation_.exchange->on_host(federation_.global).sha256(); });
    }
}

}  // namespace silosum

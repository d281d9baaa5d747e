#include "commands/bench_fit.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "benchmark/machine_limits.hpp"
#include "benchmark/scale_model.hpp"
#include "benchmark/simulation.hpp"
#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "comm/nodes.hpp"
#include "io/atomic_file.hpp"
#include "kernels/isa.hpp"

namespace silosum {

namespace {

struct Setting {
    const char* exchange;
    double size;          // of the largest vector
    std::uint32_t silos;  // in all; 0: one a rank
    std::uint32_t each;   // silos a rank, where `silos` is 0
    std::uint64_t ring_bits = 32;
    const char* transport = "auto";
    const char* graph = "complete";
    double dropouts = 0;
};

// Each kind of work dominates some of them: vectors of three sizes, one silo a rank and several, many silos with little to send.
constexpr double small = 1.0 / 128;
constexpr double middle = 1.0 / 8;
const std::vector<Setting> settings{
    {"exact", small, 0, 1},
    {"exact", middle, 0, 1},
    {"exact", 1, 0, 1},
    {"exact", middle, 0, 1, 64},
    {"exact", middle, 0, 4},
    {"exact", 1, 0, 2},
    {"exact", middle, 0, 1, 32, "messages"},
    {"exact", 1, 0, 1, 32, "messages"},
    {"secure", small, 8, 0},
    {"secure", middle, 8, 0},
    {"secure", 1, 8, 0},
    {"secure", middle, 8, 0, 64},
    {"secure", middle, 0, 1},
    {"secure", 1, 0, 1},
    {"secure", middle, 8, 0, 32, "messages"},
    {"secure", middle, 32, 0, 32, "auto", "harary", 0.1},
    {"secure", small, 32, 0, 32, "auto", "complete", 0.25},
    {"secure", small, 64, 0},
};

BenchmarkSetting benchmark_setting(const Setting& setting, int ranks, std::uint64_t largest_bytes, std::uint64_t repetitions) {
    BenchmarkSetting full;
    full.parameters =
        std::max<std::size_t>(1024, static_cast<std::size_t>(setting.size * static_cast<double>(largest_bytes) / sizeof(float)));
    full.silos = std::max(setting.silos, static_cast<std::uint32_t>(ranks) * std::max(1U, setting.each));
    full.graph = setting.graph;
    full.dropouts = setting.dropouts;
    full.transport = setting.transport;
    full.most_repetitions = repetitions;
    return full;
}

// A machine may be slower for some seconds without anybody to be seen at work, as where others share its memory: the fastest pass counts.
constexpr int passes = 3;

std::vector<int> rank_counts(int most) {
    std::vector<int> counts;
    for (int ranks = 1; ranks < most; ranks *= 2) counts.push_back(ranks);
    counts.push_back(most);
    return counts;
}

class Fitting {
public:
    Fitting(const Communicator& world, const RaceRules& rules, std::uint64_t largest_bytes, bool with_disturbed)
        : world_(world), rules_(rules), largest_bytes_(largest_bytes), with_disturbed_(with_disturbed) {
        rules_.seconds /= passes;
        const std::uint64_t fewest = std::min(rules.most_repetitions, fewest_repetitions);
        rules_.most_repetitions = std::max(fewest, (rules.most_repetitions + passes - 1) / passes);
    }

    void measure() {
        for (int pass = 1; pass <= passes; ++pass) {
            if (leads()) fmt::print("{}pass {} of {}\n", pass == 1 ? "" : "\n", pass, passes);
            for (const int ranks : rank_counts(world_.size())) measure_on_first(ranks);
        }
        for (auto& [name, rounds] : measured_) {
            // Of rounds that were disturbed less is known: they count where there is no other.
            const bool has_valid = std::ranges::any_of(rounds, &Pass::is_valid);
            if (has_valid) std::erase_if(rounds, [](const Pass& pass) { return !pass.is_valid; });
            const auto fastest = std::ranges::min_element(rounds, {}, [](const Pass& pass) { return pass.round.seconds; });
            if (fastest != rounds.end()) rounds_.push_back(fastest->round);
        }
    }

    /// Of rank 0.
    [[nodiscard]] nlohmann::ordered_json result() const {
        require(rounds_.size() >= 3,
                "--fit: only {} of {} rounds are valid; try again when nobody else uses the machine, or give --disturbed", rounds_.size(),
                measured_.size());
        ScaleModel model = ScaleModel::fit(rounds_);
        const auto held_out = ScaleModel::hold_out(rounds_);
        model.set_doubling(held_out.empty() ? model.spread() : root_mean_square(held_out));
        std::vector<HeldOut> played;
        for (const auto& round : rounds_) {
            played.push_back({round.name, round.seconds, simulate_round(model, {.shape = round.shape}, 1).sum_s});
        }
        print_rates(model);
        print("rounds of the most ranks, foretold from those of fewer", held_out);
        print("all rounds, played through with the rates of all", played);
        nlohmann::ordered_json json{{"format", ""}};  // first: files are known by it
        json.update(nlohmann::ordered_json(model.to_json()));
        json["instructions"] = kernels::to_string(kernels::best_isa());
        json["placement"] = placement_;
        json["with_disturbed"] = with_disturbed_;
        json["lines"] = lines_;
        json["held_out"] = json_of(held_out);
        json["simulated"] = json_of(played);
        return json;
    }

private:
    struct Pass {
        bool is_valid = true;
        MeasuredRound round;
    };
    using Measured = std::pair<std::string, std::vector<Pass>>;  // by name, those of all passes that count

    [[nodiscard]] bool leads() const { return world_.rank() == 0; }

    void measure_on_first(int ranks) {
        const bool takes_part = world_.rank() < ranks;
        const Communicator some = world_.split(takes_part ? 0 : 1);
        if (!takes_part) return sleep_until_barrier(world_);
        measure_on(some);
        barrier(world_);
    }

    void measure_on(const Communicator& some) {
        MachineLoad load(some);
        placement_ = load.placement();
        MachineShape machine{.machines = static_cast<int>(Nodes(some).count()), .cached_bytes = last_level_cache_bytes()};
        machine.cores = static_cast<int>(std::lround(std::ceil(load.cores() / machine.machines)));
        if (leads()) fmt::print("{}\n", placement_);
        for (const auto& setting : settings) {
            const auto full = benchmark_setting(setting, some.size(), largest_bytes_, rules_.most_repetitions);
            const bool is_secure = std::string(setting.exchange) == "secure";
            if (is_secure && full.silos < 3) continue;
            if (some.size() == 1 && std::string(setting.transport) == "messages") continue;
            const auto lines = race(some, load, {setting.exchange}, {setting.ring_bits}, full, rules_);
            keep(lines.back(), shape_of(full, setting.ring_bits, is_secure, some.size(), machine));
        }
    }

    void keep(const BenchmarkLine& line, const RoundShape& shape) {
        const std::string name = fmt::format("{} of {}, {} bits, {} on {}{}{}", line.exchange, size_text(line.bytes()), shape.ring_bits,
                                             counted(shape.silos, "silo"), counted(static_cast<std::size_t>(shape.ranks), "rank"),
                                             line.graph.empty() ? "" : fmt::format(", {}, {} left", line.graph, shape.leavers),
                                             line.setting.transport == "messages" ? ", messages" : "");
        lines_.push_back(line.to_json(shape.ranks));
        lines_.back()["transport"] = line.setting.transport;
        if (leads()) {
            fmt::print("  {:<74}{:>11.3f} ms{}{}\n", name, 1e3 * line.median_s, line.note.empty() ? "" : "  ", line.note);
            std::fflush(stdout);
        }
        auto found = std::ranges::find(measured_, name, &Measured::first);
        if (found == measured_.end()) found = measured_.insert(found, {name, {}});
        if (line.repetitions == 0 || (!line.is_valid && !with_disturbed_)) return;
        // Others take wall time from a line, but hardly any of its CPU time.
        double seconds = line.median_s;
        if (!line.is_valid) {
            seconds = 0;
            for (const auto& [phase, time] : line.phases) seconds += time;
        }
        found->second.push_back({line.is_valid, {name, shape, seconds, line.phases}});
    }

    static nlohmann::json json_of(const std::vector<HeldOut>& rounds) {
        nlohmann::json json = nlohmann::json::array();
        for (const auto& round : rounds) {
            json.push_back(
                {{"round", round.name}, {"measured_s", round.measured}, {"foretold_s", round.predicted}, {"error", round.error()}});
        }
        return json;
    }

    static void print_rates(const ScaleModel& model) {
        fmt::print("\n{:<16}{:>14}{:>14}{:>14}\n", "rate", "ns", "low", "high");
        for (const auto& row : kind_list()) {
            if (!model.has_measured(row.kind)) continue;
            const Interval rate = model.rate(row.kind);
            fmt::print("{:<16}{:>14.4g}{:>14.4g}{:>14.4g}  a {}: {}\n", row.name, 1e9 * rate.value, 1e9 * rate.low, 1e9 * rate.high,
                       row.unit, row.help);
        }
        fmt::print("\nrounds lie within {:.1f} % of the fit (root of the mean square)\n", 100 * model.spread());
    }

    static void print(const std::string& title, const std::vector<HeldOut>& rounds) {
        if (rounds.empty()) return fmt::print("\n{}: none\n", title);
        fmt::print("\n{}: {:.1f} % (root of the mean square)\n", title, 100 * root_mean_square(rounds));
        for (const auto& round : rounds) {
            fmt::print("  {:<74}{:>11.3f} ms, foretold {:>11.3f} ms: {:+.1f} %\n", round.name, 1e3 * round.measured, 1e3 * round.predicted,
                       100 * round.error());
        }
    }

    const Communicator& world_;
    RaceRules rules_;
    std::uint64_t largest_bytes_;
    bool with_disturbed_;
    std::string placement_;
    std::vector<Measured> measured_;
    std::vector<MeasuredRound> rounds_;  // of each the fastest
    nlohmann::json lines_ = nlohmann::json::array();
};

}  // namespace

int bench_fit(const Communicator& world, const std::string& file, const RaceRules& rules, std::uint64_t largest_bytes,
              bool with_disturbed) {
    Fitting fitting(world, rules, largest_bytes, with_disturbed);
    fitting.measure();
    succeed_on_first(world, [&] { write_file_atomically(file, fitting.result().dump(1) + "\n"); });
    return static_cast<int>(ExitCode::done);
}

}  // namespace silosum

#include "commands/bench_fit.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

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

// A machine may be slower for some seconds without anybody to be seen at work, as where others share its memory. Rounds are timed in some
// passes, and those count that saw the memory nearly as fast as it was at any time; where a round has none, in some more. Of these the
// fastest counts.
constexpr int passes = 3;
constexpr int most_passes = 6;
constexpr double as_fast = 0.75;

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
        // Short rounds need many to be known, and no round is known by a few.
        rules_.most_repetitions = std::clamp<std::uint64_t>(4 * rules.most_repetitions, fewest_repetitions, most_sums / 2);
    }

    void measure() {
        for (int pass = 1; pass <= most_passes; ++pass) {
            if (pass > passes && !lacks_any()) break;
            if (leads()) {
                fmt::print("{}pass {} of {}{}\n", pass == 1 ? "" : "\n", pass, pass > passes ? most_passes : passes,
                           pass > passes ? ", of rounds that were not valid yet, or never saw the memory at its fastest" : "");
            }
            is_extra_ = pass > passes;
            for (const int ranks : rank_counts(world_.size())) measure_on_first(ranks);
        }
        for (auto& entry : measured_) {
            auto& rounds = entry.second;
            // Where some are so good, the others do not count.
            const auto prefer = [&rounds](auto is_good) {
                if (std::ranges::any_of(rounds, is_good)) std::erase_if(rounds, [&](const Pass& pass) { return !is_good(pass); });
            };
            prefer([this](const Pass& pass) { return pass.is_valid && saw_fast_memory(pass); });
            prefer([](const Pass& pass) { return pass.is_valid; });
            prefer([this](const Pass& pass) { return saw_fast_memory(pass); });
            const auto fastest = std::ranges::min_element(rounds, {}, [](const Pass& pass) { return pass.round.seconds; });
            if (fastest == rounds.end()) continue;
            rounds_.push_back(fastest->round);
            has_disturbed_ = has_disturbed_ || !fastest->is_valid;
            if (!saw_fast_memory(*fastest)) slow_.push_back(fastest->round.name);
        }
    }

    /// Of rank 0.
    [[nodiscard]] nlohmann::ordered_json result() const {
        require<RuntimeError>(rounds_.size() >= 3,
                              "--fit: only {} of {} rounds are valid; try again when nobody else uses the machine, or give --disturbed",
                              rounds_.size(), measured_.size());
        ScaleModel model = ScaleModel::fit(rounds_);
        const auto held_out = ScaleModel::hold_out(rounds_);
        model.set_doubling(held_out.empty() ? model.spread() : root_mean_square(held_out));
        std::vector<HeldOut> played;
        for (const auto& round : rounds_) {
            played.push_back({round.name, round.seconds, simulate_round(model, {.shape = round.shape}, 1).sum_s});
        }
        print_rates(model);
        if (!slow_.empty())
            fmt::print("\n{} never saw the memory at its fastest, and may have taken too long\n", counted(slow_.size(), "round"));
        if (world_.size() > 1) print("rounds of the most ranks, foretold from those of fewer", held_out);
        print("all rounds, played through with the rates of all", played);
        nlohmann::ordered_json json{{"format", ""}};  // first: files are known by it
        json.update(nlohmann::ordered_json(model.to_json()));
        json["instructions"] = kernels::to_string(kernels::best_isa());
        json["placement"] = placement_;
        json["with_disturbed"] = has_disturbed_;
        json["slow_memory"] = slow_;
        json["lines"] = lines_;
        json["held_out"] = json_of(held_out);
        json["simulated"] = json_of(played);
        return json;
    }

private:
    struct Pass {
        bool is_valid = true;
        double memory = 0;  // as MemoryProbe has it, before or after the round, whichever is slower
        MeasuredRound round;
    };
    // By ranks and number of the setting, those of all passes that count; on the ranks that took part.
    using Measured = std::map<std::pair<int, std::size_t>, std::vector<Pass>>;

    [[nodiscard]] bool leads() const { return world_.rank() == 0; }
    [[nodiscard]] bool saw_fast_memory(const Pass& pass) const {
        return !passes_memory(pass.round.shape) || pass.memory >= as_fast * fastest_memory_.at(pass.round.shape.cores_in_use());
    }
    [[nodiscard]] bool is_lacking(const std::vector<Pass>& rounds) const {
        return std::ranges::none_of(rounds,
                                    [this](const Pass& pass) { return (pass.is_valid || with_disturbed_) && saw_fast_memory(pass); });
    }
    // Rank 0 has seen all rounds, the others some.
    [[nodiscard]] bool lacks_any() const {
        return from_first(world_, std::ranges::any_of(measured_, [this](const auto& rounds) { return is_lacking(rounds.second); }));
    }
    [[nodiscard]] static bool from_first(const Communicator& ranks, bool decision) {
        auto all = static_cast<std::uint8_t>(decision);
        broadcast(ranks, std::span<std::uint8_t>(&all, 1), 0);
        return all != 0;
    }

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
        MemoryProbe memory(some);
        std::set<std::string> names;
        for (std::size_t index = 0; index < settings.size(); ++index) {
            const Setting& setting = settings[index];
            const auto full = benchmark_setting(setting, some.size(), largest_bytes_, rules_.most_repetitions);
            const bool is_secure = std::string(setting.exchange) == "secure";
            if (is_secure && full.silos < 3) continue;
            if (some.size() == 1 && std::string(setting.transport) == "messages") continue;
            const RoundShape shape = shape_of(full, setting.ring_bits, is_secure, some.size(), machine);
            const std::string name = name_of(setting, shape);
            if (!names.insert(name).second) continue;  // for some numbers of ranks two settings are the same
            const Measured::key_type key{some.size(), index};
            if (is_extra_ && !measured_.contains(key)) continue;
            auto& rounds = measured_[key];
            if (is_extra_ && !from_first(some, is_lacking(rounds))) continue;
            const double before = memory.now();
            const auto lines = race(some, load, {setting.exchange}, {setting.ring_bits}, full, rules_);
            const double after = memory.now();
            double& fastest = fastest_memory_[shape.cores_in_use()];
            fastest = std::max({fastest, before, after});
            keep(name, lines.back(), shape, std::min(before, after), rounds);
            if (lines.back().repetitions == 0) measured_.erase(key);  // it cannot be made
        }
    }

    static std::string name_of(const Setting& setting, const RoundShape& shape) {
        std::string name =
            fmt::format("{} of {}, {} bits, {} on {}", setting.exchange, size_text(4.0 * static_cast<double>(shape.parameters)),
                        shape.ring_bits, counted(shape.silos, "silo"), counted(static_cast<std::size_t>(shape.ranks), "rank"));
        if (shape.is_secure) name += fmt::format(", {}, {}, {} left", setting.graph, shape.plan.neighbours, shape.leavers);
        return name + (shape.shares_memory || shape.ranks == 1 ? "" : ", messages");
    }

    void keep(const std::string& name, const BenchmarkLine& line, const RoundShape& shape, double memory, std::vector<Pass>& rounds) {
        lines_.push_back(line.to_json(shape.ranks));
        lines_.back()["transport"] = line.setting.transport;
        lines_.back()["memory_reads"] = memory;
        if (leads()) {
            fmt::print("  {:<74}{:>11.3f} ms{}{}\n", name, 1e3 * line.median_s, line.note.empty() ? "" : "  ", line.note);
            std::fflush(stdout);
        }
        if (line.repetitions == 0 || (!line.is_valid && !with_disturbed_)) return;
        // Others take wall time from a line, but hardly any of its CPU time.
        double seconds = line.median_s;
        if (!line.is_valid) {
            seconds = 0;
            for (const auto& [phase, time] : line.phases) seconds += time;
        }
        rounds.push_back({line.is_valid, memory, {name, shape, seconds, line.phases}});
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
        bool has_unseen = false;
        for (const auto& row : kind_list()) {
            if (!model.has_measured(row.kind)) continue;
            const Interval rate = model.rate(row.kind);
            const auto ns = [](double seconds) { return seconds > 0 ? fmt::format("{:.4g}", 1e9 * seconds) : "-"; };
            has_unseen = has_unseen || rate.value == 0;
            fmt::print("{:<16}{:>14}{:>14}{:>14}  a {}: {}\n", row.name, ns(rate.value), ns(rate.low), ns(rate.high), row.unit, row.help);
        }
        if (has_unseen) fmt::print("-: too little to be seen beside the others\n");
        fmt::print("\nrounds lie within {:.1f} % of the fit (root of the mean square)\n", 100 * model.spread());
    }

    static void print(const std::string& title, const std::vector<HeldOut>& rounds) {
        if (rounds.empty()) return fmt::print("\n{}: none; valid rounds of fewer ranks tell too little of what these need\n", title);
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
    Measured measured_;
    bool is_extra_ = false;
    bool has_disturbed_ = false;               // among those that count
    std::map<double, double> fastest_memory_;  // by cores in use
    std::vector<MeasuredRound> rounds_;        // of each the fastest
    std::vector<std::string> slow_;            // names of those that never saw the memory at its fastest
    nlohmann::json lines_ = nlohmann::json::array();
};

}  // namespace

int bench_fit(const Communicator& world, const std::string& file, const RaceRules& rules, std::uint64_t largest_bytes,
              bool with_disturbed) {
    Fitting fitting(world, rules, largest_bytes, with_disturbed);
    fitting.measure();
    succeed_on_first(world, [&] {
        write_file_atomically(file, fitting.result().dump(1) + "\n");
        fmt::print("\n{} written, for silosum plan --fit{}\n", file,
                   world.size() == 1 ? "; of one rank, it foretells no rounds of more" : "");
    });
    return static_cast<int>(ExitCode::done);
}

}  // namespace silosum

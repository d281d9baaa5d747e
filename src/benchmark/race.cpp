#include "benchmark/race.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/process.hpp"
#include "benchmark/freed_memory.hpp"
#include "benchmark/samples.hpp"
#include "comm/agreement.hpp"
#include "comm/collectives.hpp"

namespace silosum {

namespace {

struct Runner {
    BenchmarkLine line;
    std::unique_ptr<Contestant> contestant;
    std::vector<double> slowest;                           // by repetition, equal on all ranks
    std::vector<double> own;                               // of this machine
    std::vector<std::map<std::string, PhaseTime>> phases;  // by repetition, of this rank
};

class Race {
public:
    Race(const Communicator& communicator, MachineLoad& load, const BenchmarkSetting& setting, const RaceRules& rules)
        : communicator_(communicator), load_(load), setting_(setting), rules_(rules), vectors_(setting.part_size()) {}

    // The first run touches all memory: it is not timed, but tells how much there is.
    void enter(const ContestantRow& row, std::uint64_t ring_bits) {
        Runner runner;
        runner.line = {.exchange = row.name, .ring_bits = row.has_ring ? ring_bits : 0, .setting = setting_};
        BenchmarkSetting setting = setting_;
        setting.ring_bits = ring_bits;
        let_go_of_freed_blocks();
        forget_peak_resident_bytes();
        const std::size_t before = resident_bytes();
        try {
            runner.contestant = row.make(communicator_, setting, vectors_);
            (void)runner.contestant->run();
        } catch (const AgreedError& error) {
            runner.contestant.reset();
            runner.line.note = error.what();
            runner.line.is_valid = false;
        }
        const std::size_t given = runner.contestant ? runner.contestant->given_bytes() : 0;
        std::vector<std::uint64_t> extra{std::max(before + given, peak_resident_bytes()) - before - given};
        all_reduce_max(communicator_, std::span<std::uint64_t>(extra));
        runner.line.extra_bytes = extra[0];
        runners_.push_back(std::move(runner));
    }

    void run() {
        load_.begin();
        const double start = wall_seconds();
        std::uint64_t done = 0;
        do {
            for (Runner& runner : runners_) {
                if (runner.contestant) time_once(runner);
            }
            ++done;
        } while (done < rules_.most_repetitions && (done < fewest_repetitions || !is_enough(wall_seconds() - start)));
        const double others = load_.share_of_others();
        for (Runner& runner : runners_) {
            if (runner.contestant) judge(runner, others);
        }
    }

    [[nodiscard]] std::vector<BenchmarkLine> lines() const {
        std::vector<BenchmarkLine> lines;
        for (const Runner& runner : runners_) lines.push_back(runner.line);
        return lines;
    }

private:
    void time_once(Runner& runner) {
        const double own = runner.contestant->run();
        double slowest = own;
        all_reduce_max(communicator_, std::span<double>(&slowest, 1));
        runner.own.push_back(own);
        runner.slowest.push_back(slowest);
        runner.phases.push_back(runner.contestant->phases());
    }

    // The clock that is furthest decides for all.
    [[nodiscard]] bool is_enough(double seconds) const {
        all_reduce_max(communicator_, std::span<double>(&seconds, 1));
        return seconds >= rules_.seconds || std::ranges::all_of(runners_, [&](const Runner& runner) {
                   return !runner.contestant || uncertainty_of_median(runner.slowest) <= rules_.narrow;
               });
    }

    void judge(Runner& runner, double others) {
        BenchmarkLine& line = runner.line;
        line.repetitions = runner.slowest.size();
        line.least_s = quantile(runner.slowest, 1e-9);
        line.median_s = quantile(runner.slowest, 0.5);
        line.of_allreduce = line.median_s / quantile(runners_.front().slowest, 0.5);
        for (const Runner& other : runners_) {
            const bool is_nccl = other.contestant && other.line.exchange == "nccl-allreduce";
            if (is_nccl) line.of_nccl_allreduce = line.median_s / quantile(other.slowest, 0.5);
        }
        std::vector<double> all;
        for (const double time : runner.own) {
            for (const double of_rank : all_gather(communicator_, time)) all.push_back(of_rank);
        }
        line.p99_s = quantile(all, 0.99);
        line.phases = phases_of(runner);
        std::vector<std::uint64_t> wrong{runner.contestant->wrong_words()};
        all_reduce_sum(communicator_, std::span<std::uint64_t>(wrong));
        line.wrong_words = wrong[0];
        line.knows_its_sum = runner.contestant->knows_its_sum();
        line.graph = runner.contestant->graph();
        line.transport = runner.contestant->transport();
        const double uncertainty = uncertainty_of_median(runner.slowest);
        if (others > rules_.disturbed) {
            line.note = fmt::format("not valid: others took {:.0f} % of the cores", 100 * others);
        } else if (runner.slowest.size() < fewest_repetitions) {
            line.note =
                fmt::format("not valid: {} too few to tell how well the median is known",
                            runner.slowest.size() == 1 ? "1 repetition is" : fmt::format("{} repetitions are", runner.slowest.size()));
        } else if (uncertainty > rules_.unsteady) {
            line.note = fmt::format("not valid: the median is known to {:.0f} % only", 100 * uncertainty);
        }
        line.is_valid = line.note.empty();
    }

    // CPU seconds of all ranks over the cores, the median of repetitions: which rank does what may change from one to the next. Ranks need
    // not have the same phases: one without a silo hides nothing.
    [[nodiscard]] std::map<std::string, double> phases_of(const Runner& runner) const {
        std::set<std::string> names;
        for (const auto& phases : runner.phases) {
            for (const auto& [phase, time] : phases) names.insert(phase);
        }
        for (const auto& text : all_gather_text(communicator_, nlohmann::json(names).dump())) {
            names.merge(nlohmann::json::parse(text).get<std::set<std::string>>());
        }
        std::map<std::string, double> medians;
        for (const auto& name : names) {
            std::vector<std::uint64_t> nanoseconds;  // whole ones: equal on all ranks
            for (const auto& phases : runner.phases) {
                const auto found = phases.find(name);
                nanoseconds.push_back(found == phases.end() ? 0 : static_cast<std::uint64_t>(std::max(0.0, 1e9 * found->second.cpu)));
            }
            all_reduce_sum(communicator_, std::span<std::uint64_t>(nanoseconds));
            const std::vector<double> sums(nanoseconds.begin(), nanoseconds.end());
            medians[name] = 1e-9 * quantile(sums, 0.5) / load_.cores();
        }
        return medians;
    }

    const Communicator& communicator_;
    MachineLoad& load_;
    BenchmarkSetting setting_;
    RaceRules rules_;
    BenchmarkVectors vectors_;
    std::vector<Runner> runners_;
};

}  // namespace

nlohmann::json BenchmarkLine::to_json(int ranks) const {
    nlohmann::json json{{"exchange", exchange},
                        {"bytes", static_cast<std::uint64_t>(bytes())},
                        {"parameters", setting.parameters},
                        {"ranks", ranks},
                        {"silos", setting.silos},
                        {"dropouts", setting.dropouts},
                        {"chunk_kib", setting.chunk_kib},
                        {"valid", is_valid}};
    if (setting.parts() > 1) json["part_parameters"] = setting.part;
    if (setting.ranks_per_node > 0) json["ranks_per_node"] = setting.ranks_per_node;
    if (ring_bits != 0) json["ring_bits"] = ring_bits;
    if (!graph.empty()) json.update({{"graph", graph}, {"cipher", setting.cipher}, {"integrity", setting.integrity}});
    if (!transport.empty()) json["transport"] = transport;
    if (!note.empty()) json["note"] = note;
    if (repetitions == 0) return json;
    json.update({{"repetitions", repetitions},
                 {"min_s", least_s},
                 {"median_s", median_s},
                 {"p99_s", p99_s},
                 {"algorithm_bandwidth", algorithm_bandwidth()},
                 {"bus_bandwidth", bus_bandwidth(ranks)},
                 {"of_allreduce", of_allreduce},
                 {"extra_bytes", extra_bytes},
                 {"phases_cpu_s", phases}});
    if (of_nccl_allreduce > 0) json["of_nccl_allreduce"] = of_nccl_allreduce;
    if (!of_limit.empty()) json["of_limit"] = of_limit;
    if (knows_its_sum) json["wrong_words"] = wrong_words;
    return json;
}

std::vector<BenchmarkLine> race(const Communicator& communicator, MachineLoad& load, const std::vector<std::string>& rows,
                                const std::vector<std::uint64_t>& rings, const BenchmarkSetting& setting, const RaceRules& rules) {
    Race race(communicator, load, setting, rules);
    for (const auto& row : contestant_list()) {
        const bool is_first = &row == &contestant_list().front();
        if (!is_first && std::ranges::find(rows, row.name) == rows.end()) continue;
        for (const std::uint64_t bits : row.has_ring ? rings : std::vector<std::uint64_t>{32}) race.enter(row, bits);
    }
    race.run();
    return race.lines();
}

// Two vectors; MPI_Allreduce takes a third; each of ours has a model, its slice of the mean, buffers, and the sum of virtual silos.
std::uint64_t bytes_of_race(const BenchmarkSetting& setting, int ranks, std::size_t contestants) {
    const std::uint64_t vector = 4 * setting.part_size();
    const std::uint64_t words = setting.silos > static_cast<std::uint32_t>(ranks) ? 2 * vector : 0;
    const std::uint64_t slice = 8 * setting.part_size() / static_cast<std::uint64_t>(ranks);
    return 3 * vector + contestants * (vector + words + slice + 4 * 1024 * setting.chunk_kib);
}

}  // namespace silosum

#include "benchmark/simulation.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/random.hpp"
#include "comm/slices.hpp"
#include "privacy/mask_graph.hpp"

namespace silosum {

namespace {

// Chunks of a round through the pipeline of comm/slice_pipeline.hpp: a rank makes chunk k + 1, then takes chunk k; it may not make a chunk
// before all have taken the one before the last, whose buffers it uses. Where ranks forward, which counts to what they take, it is one
// chunk more ahead, and has buffers for one more.
class Pipeline {
public:
    struct Costs {
        double step_bytes = 0;  // that leave a machine for each chunk that one of its ranks has made
        double seconds_a_byte = 0;
        double hop_s = 0;
    };
    Pipeline(const RoundShape& shape, std::size_t steps, std::vector<double> make_s, double take_s, const Costs& costs)
        : make_s_(std::move(make_s)),
          take_s_(take_s),
          costs_(costs),
          steps_(steps),
          slots_(shape.forwards() ? 3 : 2),
          made_(steps),
          taken_(steps) {
        const int each = static_cast<int>(std::ceil(shape.ranks_a_machine()));
        for (std::size_t rank = 0; rank < make_s_.size(); ++rank) machine_of_.push_back(rank / static_cast<std::size_t>(each));
        cores_.resize(static_cast<std::size_t>(shape.machines));
        for (auto& cores : cores_) {
            for (int core = 0; core < shape.cores; ++core) cores.push(0);
        }
        links_.assign(cores_.size(), 0);
        next_.assign(make_s_.size(), 0);
    }

    /// Seconds until the last chunk is taken.
    double run() {
        for (std::size_t rank = 0; rank < make_s_.size(); ++rank) queue_.push({0, rank});
        double end = 0;
        while (!queue_.empty()) {
            const auto [time, rank] = queue_.top();
            queue_.pop();
            end = std::max(end, time);
            const std::size_t task = next_[rank];
            if (task == 2 * steps_) continue;
            const auto [makes, step] = task_of(task);
            Gate* const gate = gate_before(makes, step);
            if (gate != nullptr && gate->passed < make_s_.size()) {
                gate->waiting.push_back({time, rank});
                continue;
            }
            const double ready = gate == nullptr ? time : std::max(time, gate->opened);
            auto& cores = cores_[machine_of_[rank]];
            const double begin = std::max(ready, cores.top());
            cores.pop();
            const double done = begin + (makes ? make_s_[rank] : take_s_);
            cores.push(done);
            ++next_[rank];
            pass(makes ? made_[step] : taken_[step], makes ? arrival(machine_of_[rank], done) : done);
            queue_.push({done, rank});
        }
        return end;
    }

private:
    using Event = std::pair<double, std::size_t>;  // time, rank
    template <class T>
    using Earliest = std::priority_queue<T, std::vector<T>, std::greater<>>;
    struct Gate {  // that all ranks must have passed
        std::size_t passed = 0;
        double opened = 0;
        std::vector<Event> waiting;
    };

    // make 0, make 1, take 0, make 2, take 1, ..., take of the last; with three slots all takes come one make later.
    [[nodiscard]] std::pair<bool, std::size_t> task_of(std::size_t task) const {
        const std::size_t lead = std::min(slots_ - 1, steps_);
        if (task < lead) return {true, task};
        const std::size_t turn = (task - lead) / 2;
        if (turn >= steps_ - lead) return {false, task - steps_};
        return (task - lead) % 2 == 0 ? std::pair(true, lead + turn) : std::pair(false, turn);
    }
    Gate* gate_before(bool makes, std::size_t step) {
        if (!makes) return &made_[step];
        return step < slots_ ? nullptr : &taken_[step - slots_];
    }
    double arrival(std::size_t machine, double done) {
        if (costs_.step_bytes == 0) return done;
        links_[machine] = std::max(links_[machine], done) + costs_.step_bytes * costs_.seconds_a_byte;
        return links_[machine] + costs_.hop_s;
    }
    void pass(Gate& gate, double time) {
        ++gate.passed;
        gate.opened = std::max(gate.opened, time);
        if (gate.passed < make_s_.size()) return;
        for (const Event& event : gate.waiting) queue_.push({std::max(event.first, gate.opened), event.second});
        gate.waiting.clear();
    }

    std::vector<double> make_s_;  // of a chunk, by rank
    double take_s_;
    Costs costs_;
    std::size_t steps_;
    std::size_t slots_;
    std::vector<Gate> made_;
    std::vector<Gate> taken_;
    std::vector<std::size_t> machine_of_;
    std::vector<Earliest<double>> cores_;  // when each is free, by machine
    std::vector<double> links_;
    std::vector<std::size_t> next_;  // task of each rank
    Earliest<Event> queue_;
};

class SimulatedFederation {
public:
    SimulatedFederation(const ScaleModel& model, const SimulationSetting& setting, std::uint32_t round)
        : model_(model), setting_(setting), shape_(setting.shape), round_(round), is_gone_(shape_.silos, false) {}

    SimulatedRound play() {
        train();
        leave();
        work_ = work_of(shape_);
        if (shape_.is_secure) {
            time_ += stage("keys");
            if (!result_.refusal.empty()) return finish();
        }
        const bool streams = shape_.silos <= static_cast<std::uint32_t>(shape_.ranks) && !shape_.reads_updates();
        if (!streams) time_ += stage("encode") + stage("tag");
        time_ += shape_.reads_updates() ? stage("wire") : pipeline(streams);
        for (const char* const phase : {"agree", "unmask", "decode", "publish", "hash", "wait"}) {
            if (!is_in_pipeline(phase)) time_ += stage(phase);
        }
        for (const Kind kind : {Kind::pause, Kind::uneven, Kind::uneven_shared}) time_ += seconds("idle", kind);
        time_ += seconds("idle", Kind::link_hop) + link_bytes_ * model_.seconds_of(Kind::link_bytes);
        return finish();
    }

private:
    [[nodiscard]] std::size_t host_of(std::uint32_t silo) const { return silo % static_cast<std::uint32_t>(shape_.ranks); }
    [[nodiscard]] bool is_in_pipeline(const std::string& phase) const {
        return !shape_.is_secure && !shape_.reads_updates() && phase == "decode";
    }
    SimulatedRound finish() {
        result_.sum_s = time_;
        return result_;
    }

    void train() {
        std::vector<double> busy(static_cast<std::size_t>(shape_.ranks), 0);
        const Random random(setting_.seed, Purpose::selection, 1, round_);
        const double sharing = std::max(1.0, shape_.ranks_a_machine() / shape_.cores);
        const double s = setting_.straggling;
        for (std::uint32_t silo = 0; silo < shape_.silos; ++silo) {
            busy[host_of(silo)] += sharing * setting_.train_s * std::exp(s * random.normal(silo) - s * s / 2);
        }
        double sum = 0;
        for (const double seconds : busy) {
            result_.train_s = std::max(result_.train_s, seconds);
            sum += seconds;
        }
        result_.waiting_s = result_.train_s - sum / shape_.ranks;
    }

    // Who is gone before it enters, which masks that leaves on the sum, and whether enough shares are left to take them off.
    void leave() {
        const std::uint32_t first_stays = setting_.dropouts > 0 ? 0 : shape_.leavers;
        shape_.leavers = 0;
        if (!shape_.is_secure) return;
        const Random random(setting_.seed, Purpose::selection, 2, round_);
        for (std::uint32_t silo = 0; silo < shape_.silos; ++silo) {
            is_gone_[silo] = silo < first_stays || random.uniform(silo) < setting_.dropouts;
            if (is_gone_[silo]) ++shape_.leavers;
        }
        result_.leavers = shape_.leavers;
        const SecurePlan& plan = shape_.plan;
        if (shape_.members() < plan.least_members) {
            result_.refusal = fmt::format("{} of {} silos are left, {} are needed", shape_.members(), shape_.silos, plan.least_members);
        }
        const double members = shape_.members();
        shape_.orphans = shape_.leavers * members;
        if (plan.neighbours + 1 == shape_.silos) return;  // complete: everybody has shares of everybody
        std::array<std::uint8_t, 32> seed{};
        for (std::size_t i = 0; i < seed.size(); ++i) seed[i] = static_cast<std::uint8_t>(random.word(4 * shape_.silos + i));
        const MaskGraph graph = MaskGraph::harary(ring_order(shape_.silos, seed), plan.neighbours);
        std::uint64_t orphans = 0;
        for (std::uint32_t dealer = 0; dealer < shape_.silos; ++dealer) {
            const auto there = static_cast<std::uint32_t>(
                std::ranges::count_if(graph.neighbours(dealer), [this](std::uint32_t other) { return !is_gone_[other]; }));
            if (is_gone_[dealer]) orphans += there;
            const std::uint32_t shares = there + (is_gone_[dealer] ? 0 : 1);
            if (shares >= plan.threshold || !result_.refusal.empty()) continue;
            result_.refusal = fmt::format("{} shares of the masks of a silo are left, {} are needed", shares, plan.threshold);
        }
        shape_.orphans = static_cast<double>(orphans);
    }

    // A kind of work of a phase, as if all cores shared it evenly.
    [[nodiscard]] double seconds(const std::string& phase, Kind kind) const {
        const auto found = work_.find(phase);
        if (found == work_.end()) return 0;
        const auto k = static_cast<std::size_t>(kind);
        const double cores = kind_list()[k].is_shared ? shape_.cores_in_use() : 1;
        return found->second[k] * model_.seconds_of(kind) / cores;
    }
    [[nodiscard]] double seconds(const std::string& phase) const {
        double sum = 0;
        for (const auto& row : kind_list()) sum += seconds(phase, row.kind);
        return sum;
    }

    // Silos of a rank in the sum, over those of the mean rank.
    [[nodiscard]] std::vector<double> shares_of_ranks() const {
        std::vector<double> shares(static_cast<std::size_t>(shape_.ranks), 0);
        for (std::uint32_t silo = 0; silo < shape_.silos; ++silo) {
            if (!is_gone_[silo]) shares[host_of(silo)] += static_cast<double>(shape_.ranks) / std::max(1U, shape_.members());
        }
        return shares;
    }

    // What ends where all ranks meet: a machine is done when its cores have done all, and not before the rank with most to do is.
    [[nodiscard]] double stage(const std::string& phase) const {
        const double even = seconds(phase);
        double of_silos = 0;
        for (const auto& row : kind_list()) of_silos += is_of_silos(phase, row.kind, shape_) ? seconds(phase, row.kind) : 0;
        if (of_silos == 0) return even;
        const auto shares = shares_of_ranks();
        const double most = even + of_silos * (*std::ranges::max_element(shares) - 1);  // of the rank with most silos, times ranks
        return std::max(even, most * shape_.cores_in_use() / shape_.ranks_a_machine());
    }

    double pipeline(bool streams) {
        const Slices slices(shape_.parameters, shape_.ranks);
        const std::size_t steps = Chunks(slices, shape_.chunk_kib * 1024, shape_.word()).steps();
        const double a_rank = shape_.cores_in_use() / shape_.ranks_a_machine() / static_cast<double>(steps);
        const double bus = streams ? seconds("encode", Kind::bus) : 0;  // has no busiest rank
        const double of_silos = seconds("mask", Kind::stream) + (streams ? seconds("encode") - bus + seconds("tag") : 0);
        const double half = seconds("wire", Kind::message) / 2;
        const double made = half + seconds("wire", Kind::message_bytes) + seconds("wire", Kind::move) + seconds("wire", Kind::memory) +
                            seconds("wire", Kind::bus) + bus + seconds("mask", Kind::move);
        const double taken = half + seconds("wire", Kind::add_up) + (is_in_pipeline("decode") ? seconds("decode") : 0);
        std::vector<double> make_s = shares_of_ranks();
        for (double& share : make_s) share = a_rank * (share * of_silos + made);
        Pipeline::Costs costs;
        link_bytes_ = work_.at("idle")[static_cast<std::size_t>(Kind::link_bytes)];
        if (shape_.machines > 1) {
            const double words = bytes_of_words();
            costs = {.step_bytes = words / shape_.ranks_a_machine() / static_cast<double>(steps),
                     .seconds_a_byte = model_.seconds_of(Kind::link_bytes),
                     .hop_s = model_.seconds_of(Kind::link_hop)};
            link_bytes_ -= words;  // those travel while ranks work; the others do not
        }
        Pipeline chunks(shape_, steps, std::move(make_s), a_rank * taken, costs);
        return chunks.run() + seconds("wire", Kind::meeting);
    }

    // Of the pipeline: what a round without them would not have sent.
    [[nodiscard]] double bytes_of_words() const {
        RoundShape none = shape_;
        none.scheme = Scheme::ring;
        const auto link = static_cast<std::size_t>(Kind::link_bytes);
        const double ring = static_cast<double>(shape_.parameters * shape_.word()) * (shape_.ranks - 1) / shape_.ranks;
        return work_.at("idle")[link] - (work_of(none).at("idle")[link] - ring);
    }

    const ScaleModel& model_;
    const SimulationSetting& setting_;
    RoundShape shape_;
    std::uint32_t round_;
    std::vector<bool> is_gone_;
    std::map<std::string, Work> work_;
    SimulatedRound result_;
    double link_bytes_ = 0;  // outside of the pipeline
    double time_ = 0;
};

}  // namespace

SimulatedRound simulate_round(const ScaleModel& model, const SimulationSetting& setting, std::uint32_t round) {
    const std::string problem = model.problem_with(setting.shape);
    require(problem.empty(), "{}", problem);
    return SimulatedFederation(model, setting, round).play();
}

}  // namespace silosum

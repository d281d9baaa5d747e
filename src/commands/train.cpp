#include "commands/train.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/process.hpp"
#include "base/text.hpp"
#include "base/version.hpp"
#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "comm/launch.hpp"
#include "comm/watch.hpp"
#include "commands/introduction.hpp"
#include "commands/mpi_job.hpp"
#include "commands/run_folder.hpp"
#include "config/assemble.hpp"
#include "config/needs.hpp"
#include "io/atomic_file.hpp"
#include "observe/compare_local.hpp"
#include "observe/death_rehearsal.hpp"
#include "observe/progress.hpp"
#include "observe/recorder.hpp"
#include "observe/round_facts.hpp"
#include "observe/survival.hpp"

namespace silosum {

namespace {

constexpr const char* usage =
    "usage: [mpirun -np RANKS] silosum train CONFIG [--section.key value ...]\n\n"
    "Trains one model over the silos whose shards the configuration names. Any key of the configuration can be given as a flag, which "
    "wins.\n\n";

// All of one training job on one rank.
class Job {
public:
    Job(const Communicator& world, const std::vector<std::string>& arguments) : world_(world.duplicate()) {
        load_on_all(world, config_, arguments.front(), {arguments.begin() + 1, arguments.end()});
        world_.set_deadline(config_.exchange.deadline_s);
        threads_.emplace(config_.run.threads);
        folder_.path = config_.run.dir;
    }

    int run() {
        if (leads()) fmt::print("silosum {}  {}\n", version, config_.run.dir);
        set_grace(config_.run.grace_s);
        if (config_.run.survives()) world_.watch()->take_late_for_dead();
        succeed_on_first(world_, [&] { folder_.prepare(config_.run); });
        const auto found = find();
        const DeviceChoice device = choose_device(world_, config_.run.device, config_.local.math, *threads_);
        if (leads() && !device.note.empty()) fmt::print("{}\n", device.note);
        assembly_ = assemble(world_, config_, device, found.has_value());
        succeed_on_first(world_, [&] { check_apart_from_shards(); });
        if (leads()) introduce(config_, assembly_);
        Parameters initial;
        if (config_.evaluation.compare_local) initial = copy_of(host_model());
        add_measuring_observers();
        succeed_on_first(world_,
                         [&] { folder_.clear(config_.run, found.has_value()); });  // all is well so far: only now may the earlier run go
        if (found) restore(*found);
        const std::uint64_t done = found ? found->round : 0;
        const std::string stop_reason = stopping_->reason_to_stop();
        if (done >= config_.run.rounds || !stop_reason.empty()) return leave_trained({.rounds = done, .stop_reason = stop_reason}, initial);
        if (is_stopped_before(done + 1)) return static_cast<int>(ExitCode::stopped);
        add_writing_observers(done);
        prepare_for_deaths(done);
        return train(done + 1, initial);
    }

private:
    [[nodiscard]] bool leads() const { return world_.rank() == 0; }
    [[nodiscard]] const Parameters& host_model() const { return assembly_.federation->exchange->on_host(assembly_.federation->global); }

    static Parameters copy_of(const Parameters& parameters) {
        Parameters copy(parameters.layout);
        std::copy(parameters.values.begin(), parameters.values.end(), copy.values.begin());
        return copy;
    }

    // A model among the shards would be read as one of them by the next start.
    void check_apart_from_shards() const {
        const auto dir = std::filesystem::weakly_canonical(config_.run.dir);
        for (const auto& silo : assembly_.federation->census.silos) {
            require(std::filesystem::weakly_canonical(silo.file).parent_path() != dir,
                    "run.dir = {} is the folder of the shards; choose another", config_.run.dir);
        }
    }

    // Nothing is saved: what was there before still holds.
    [[nodiscard]] bool is_stopped_before(std::uint64_t round) const {
        std::vector<std::uint64_t> signal{static_cast<std::uint64_t>(stop_signal())};
        all_reduce_max(world_, std::span<std::uint64_t>(signal));
        if (signal[0] != 0 && leads()) fmt::print("stopped (signal {}) before round {}; run again to train it\n", signal[0], round);
        return signal[0] != 0;
    }

    template <class T, class... Arguments>
    T* observe_with(Arguments&&... arguments) {
        auto observer = std::make_unique<T>(std::forward<Arguments>(arguments)...);
        T* const place = observer.get();
        assembly_.federation->observers.push_back(std::move(observer));
        return place;
    }

    // Observers run in the order in which they are added. These sets are apart because a checkpoint is restored in between.
    void add_measuring_observers() {
        Federation& fed = *assembly_.federation;
        round_facts_ = observe_with<RoundFacts>(fed);
        evaluation_ = observe_with<Evaluation>(config_.evaluation, fed, assembly_.common_test);
        const auto save_best = [this](std::uint64_t round) { save(folder_.best(), round); };
        succeed_on_all(world_, [&] { stopping_ = observe_with<Stopping>(config_.evaluation, fed, *evaluation_, save_best); });
    }

    void add_writing_observers(std::uint64_t done) {
        succeed_on_first(world_, [&] { folder_.write_config(config_); });
        recorder_ = observe_with<Recorder>(world_, folder_.metrics(), done, assembly_.federation->sums->hides_silos());
        checkpointer_ =
            observe_with<Checkpointer>(config_.checkpoint, folder_.checkpoints(), assembly_.identity, *assembly_.federation, *stopping_);
        checkpointer_->set_last_good(restored_from_);
        progress_ = observe_with<Progress>(progress_style(), done + 1);
    }

    void prepare_for_deaths(std::uint64_t done) {
        auto& observers = assembly_.federation->observers;
        if (config_.run.survives()) {
            survival_.emplace(*assembly_.federation, *stopping_, done);
            observers.insert(observers.begin(), survival_->first_observer());
            observers.push_back(survival_->last_observer());
        }
        observe_with<DeathRehearsal>(*world_.watch(), config_.run.rehearse_death, done + 1);
    }

    [[nodiscard]] ProgressStyle progress_style() const {
        if (!leads() || config_.run.progress == "none") return ProgressStyle::none;
        if (config_.run.progress == "auto") return output_is_watched() ? ProgressStyle::live : ProgressStyle::lines;
        return config_.run.progress == "live" ? ProgressStyle::live : ProgressStyle::lines;
    }

    // Collective: rank 0 looks for the checkpoint to go on from.
    std::optional<FoundCheckpoint> find() {
        std::string found_text;
        succeed_on_first(world_, [&] {
            if (config_.run.resume != "auto") return;
            std::vector<std::string> warnings;
            const auto found = find_checkpoint(folder_.checkpoints(), warnings);
            folder_.check_unfinished(found.has_value());
            for (const auto& warning : warnings) fmt::print(stderr, "silosum: warning: {}\n", warning);
            if (found)
                found_text =
                    nlohmann::json{{"folder", found->folder.string()}, {"round", found->round}, {"manifest", found->manifest}}.dump();
        });
        broadcast_text(world_, found_text, 0);
        if (found_text.empty()) {
            if (leads() && config_.run.resume == "auto") fmt::print("no checkpoint in {}: starting anew\n", folder_.checkpoints().string());
            return std::nullopt;
        }
        const auto json = nlohmann::json::parse(found_text);
        return FoundCheckpoint{json["folder"].get<std::string>(), json["round"], json["manifest"]};
    }

    void restore(const FoundCheckpoint& found) {
        restore_checkpoint(found, assembly_.identity, *assembly_.federation, *stopping_);
        restored_from_ = found.folder;
        if (leads()) fmt::print("resumed after round {} from {}\n", found.round, found.folder.string());
    }

    int train(std::uint64_t first, const Parameters& initial) {
        try {
            return train_with_who_is_left(first, initial);
        } catch (const AgreedError& error) {
            const std::string what = error.what();
            throw AgreedError(error.code(), what + (what.find('\n') == std::string::npos ? "; " : "\n") + last_good());
        } catch (const RankDied& death) {
            throw RankDied(fmt::format("{}; {}: run again with --run.resume auto to go on", death.what(), last_good()));
        }
    }

    [[nodiscard]] std::string last_good() const {
        const auto& good = checkpointer_->last_good();
        return good.empty() ? "no checkpoint was saved before" : "the last good checkpoint is " + good.string();
    }

    // Whatever a death interrupts, also what is done after an earlier one, is begun again by those who are left.
    int train_with_who_is_left(std::uint64_t first, const Parameters& initial) {
        bool is_interrupted = false;
        Outcome outcome{.rounds = first - 1, .stop_reason = {}};
        for (;;) {
            try {
                if (is_interrupted) outcome = go_on_without_the_dead();
                is_interrupted = false;
                return run_rounds(outcome) ? finish(outcome, initial) : static_cast<int>(ExitCode::stopped);
            } catch (const RankDied&) {
                if (!survival_) throw;
                is_interrupted = true;
            }
        }
    }

    // False where a round was given up and there is nothing new to save: what was there before still holds.
    bool run_rounds(Outcome& outcome) {
        const Round next{.number = outcome.rounds + 1, .total = config_.run.rounds, .participants = {}};
        std::string why;
        try {
            outcome = run_synchronous(*assembly_.federation, next, outcome);
        } catch (const AgreedError& error) {
            if (error.code() != ExitCode::stopped) throw;
            why = error.what();
        }
        round_was_given_up_ = !why.empty();
        return !round_was_given_up_ || give_up_round(why, outcome);
    }

    // Collective over the ranks that are left. The rounds that are done, and why no other may follow.
    Outcome go_on_without_the_dead() {
        Federation& fed = *assembly_.federation;
        world_ = world_.survivors();
        const std::vector<std::uint32_t> lost = silos_of(world_.watch()->dead());
        const std::size_t left = fed.census.silos.size() - lost.size();
        if (left < config_.run.min_silos) {
            throw AgreedError(ExitCode::runtime, fmt::format("{}: {} left, run.min_silos = {}", world_.watch()->text(),
                                                             counted(left, "silo"), config_.run.min_silos));
        }
        succeed_on_first(world_, [&] {
            if (!folder_.is_kept()) folder_.take_over();
        });
        const Standing standing = survival_->take_stock();
        // A rank that was only late may be here again: then nobody has died.
        if (const auto dead = dead_ranks(); dead != (deaths_.empty() ? std::vector<int>() : deaths_.back().dead)) {
            if (leads()) tell_of_deaths(world_, fed.census, standing.round + 1, lost);
            deaths_.push_back({.round = standing.round + 1, .dead = dead});
        }
        leave_out(assembly_, config_, lost);
        fed.exchange->publish_first(fed.global, [&](std::span<float> values) { std::ranges::copy(standing.model, values.begin()); });
        fed.exchange->set_next_range(standing.range);
        survival_->keep_first(standing.round);
        progress_->set_style(progress_style());
        Outcome outcome{.rounds = standing.round, .stop_reason = standing.stop_reason};
        if (standing.is_observed) {
            recorder_->go_back_to(standing.round);
        } else {
            recorder_->go_back_to(standing.round - 1);
            const Round round{.number = standing.round, .total = config_.run.rounds, .participants = fed.selection.choose(standing.round)};
            outcome.stop_reason = show_to_observers(fed, round, *standing.sum);
        }
        return outcome;
    }

    [[nodiscard]] std::vector<int> dead_ranks() const {
        const auto dead = world_.watch()->dead();
        std::vector<int> ranks;
        for (std::size_t rank = 0; rank < dead.size(); ++rank) {
            if (dead[rank]) ranks.push_back(static_cast<int>(rank));
        }
        return ranks;
    }

    // Those whose ranks have died, ascending. Silos were dealt to ranks before the first death.
    [[nodiscard]] std::vector<std::uint32_t> silos_of(const std::vector<bool>& dead) const {
        std::vector<std::uint32_t> silos;
        for (std::size_t id = 0; id < assembly_.federation->census.silos.size(); ++id) {
            if (dead[static_cast<std::size_t>(host_of(id, static_cast<int>(dead.size())))]) silos.push_back(static_cast<std::uint32_t>(id));
        }
        return silos;
    }

    bool give_up_round(const std::string& why, Outcome& outcome) {
        const bool is_saved = checkpointer_->save_last();
        const auto& good = checkpointer_->last_good();
        if (leads()) {
            fmt::print("{}: it is given up, and trained again once the run goes on{}\n", why,
                       is_saved       ? ""
                       : good.empty() ? "; no checkpoint was saved before"
                                      : "; the last good checkpoint is " + good.string());
            std::fflush(stdout);
        }
        const std::uint64_t saved = checkpointer_->last_round();
        if (is_saved) outcome = {.rounds = saved, .stop_reason = fmt::format("signal, round {} given up", saved + 1)};
        return is_saved;
    }

    // Nothing is left to train. The model and the summary may still be missing, where the earlier start ended between the last checkpoint
    // and them.
    int leave_trained(const Outcome& outcome, const Parameters& initial) {
        if (leads()) {
            fmt::print("nothing left to train: {} are done, run.rounds = {}{}\n", counted(outcome.rounds, "round"), config_.run.rounds,
                       outcome.stop_reason.empty() ? "; a larger --run.rounds goes on" : "; stopped by " + outcome.stop_reason);
        }
        std::vector<std::uint64_t> is_complete{leads() && folder_.is_complete(outcome.rounds, outcome.stop_reason) ? 1U : 0U};
        broadcast(world_, std::span<std::uint64_t>(is_complete), 0);
        if (is_complete[0] != 0) return static_cast<int>(ExitCode::done);
        const Round last{.number = outcome.rounds, .total = outcome.rounds, .participants = {}};
        const Aggregate nothing;
        RoundReport report{
            .round = last, .aggregate = nothing, .clock = assembly_.federation->clock, .record = {}, .stop_reason = outcome.stop_reason};
        evaluation_->after_round(report);
        return finish(outcome, initial);
    }

    // Collective: rank 0 writes the global model.
    void save(const std::filesystem::path& file, std::uint64_t round) {
        succeed_on_first(world_, [&] {
            ModelDescription description = assembly_.description;
            description.round = round;
            save_model(file, description, host_model());
        });
    }

    int finish(const Outcome& outcome, const Parameters& initial) {
        save(folder_.model(), outcome.rounds);
        const bool interrupted = stopping_->was_interrupted() || round_was_given_up_;
        nlohmann::ordered_json summary = facts(outcome);
        if (config_.evaluation.compare_local && !interrupted && deaths_.empty()) add_comparison(summary, initial, outcome.rounds);
        summary["peak_rank_bytes"] = peak_of_any_rank();
        succeed_on_first(world_, [&] { write_file_atomically(folder_.summary(), summary.dump(2) + "\n"); });
        if (leads()) {
            fmt::print("{} after {} of {} rounds in {}: {}\nmodel sha256 {}\n",
                       outcome.stop_reason.empty() ? "done" : "stopped (" + outcome.stop_reason + ")", outcome.rounds, config_.run.rounds,
                       duration_text(wall_seconds() - started_), folder_.model().string(), summary["model_sha256"].get<std::string>());
            if (round_facts_->clipped() > 0) {
                fmt::print(
                    "in {} of the rounds of this start {} of updates lay beyond the range and were limited to it; "
                    "exchange.range = agreed never does that\n",
                    round_facts_->clipped_rounds(), counted(round_facts_->clipped(), "coordinate"));
            }
            if (interrupted) fmt::print("a checkpoint is saved; run again with --run.resume auto to go on\n");
            std::fflush(stdout);
        }
        const ExitCode done = deaths_.empty() ? ExitCode::done : ExitCode::done_without_some;
        return static_cast<int>(interrupted ? ExitCode::stopped : done);
    }

    [[nodiscard]] std::uint64_t peak_of_any_rank() const {
        std::vector<std::uint64_t> peak{peak_resident_bytes()};
        all_reduce_max(world_, std::span<std::uint64_t>(peak));
        return peak[0];
    }

    nlohmann::ordered_json facts(const Outcome& outcome) {
        const auto& fed = *assembly_.federation;
        nlohmann::ordered_json json{{"silosum", version},
                                    {"rounds", outcome.rounds},
                                    {"stop_reason", outcome.stop_reason},
                                    {"ranks", world_.size()},
                                    {"ranks_per_silo", fed.ranks->each()},
                                    {"silos", fed.census.silos.size()},
                                    {"parameters", fed.global.values.size()},
                                    {"transport", fed.exchange->transport()},
                                    {"secure", fed.group ? nlohmann::ordered_json(fed.group->claim()) : nlohmann::ordered_json()},
                                    {"model_sha256", leads() ? host_model().sha256() : ""},
                                    {"isa", assembly_.identity.isa},
                                    {"threads", config_.run.threads},
                                    {"clipped_rounds", round_facts_->clipped_rounds()},
                                    {"clipped", round_facts_->clipped()},
                                    {"deaths", nlohmann::ordered_json::array()},
                                    {"lost", nlohmann::ordered_json::array()},
                                    {"wall_seconds", wall_seconds() - started_}};
        for (const auto& death : deaths_) json["deaths"].push_back({{"round", death.round}, {"dead", death.dead}});
        for (const std::uint32_t silo : fed.lost) json["lost"].push_back(fed.census.silos[silo].name);
        if (const auto job = slurm_job()) json["slurm"] = {{"job", job->id}, {"restarts", job->restarts}};
        for (const auto& [split, metrics] : evaluation_->latest()) json[split] = metrics.to_json(fed.census.problem.task);
        if (stopping_->state().best) {
            json["best"] = {{"round", stopping_->state().best_round}, {config_.evaluation.best_metric, *stopping_->state().best}};
        }
        return json;
    }

    void add_comparison(nlohmann::ordered_json& summary, const Parameters& initial, std::uint64_t rounds) {
        const Task task = assembly_.federation->census.problem.task;
        const std::string metric = task == Task::regression ? "rmse" : "accuracy";
        std::optional<MetricsBySilo> rows;
        try {
            rows = compare_local(*assembly_.federation, initial, rounds, assembly_.common_test, config_.data.standardise);
        } catch (const AgreedError& error) {
            // A silo may diverge alone where the federation did not: the model that all have trained is good nevertheless.
            summary["alone"] = nullptr;
            if (leads()) fmt::print(stderr, "silosum: warning: no comparison with silos alone: {}\n", error.what());
            return;
        }
        if (!rows) {
            summary["alone"] = nullptr;
            if (leads()) fmt::print("stopped while silos trained alone: the model is complete, the comparison is left out\n");
            return;
        }
        if (!leads()) return;
        fmt::print("\n{:<28}{} on {}\n", "trained by", metric, assembly_.common_test ? "the common test" : "the test rows of all silos");
        for (const auto& [silo, metrics] : *rows) {
            summary["alone"][silo] = metrics.to_json(task);
            fmt::print("{:<28}{:.3f}\n", silo + " alone", metrics.value(metric).value_or(0));
        }
        if (const auto judged = evaluation_->judged()) fmt::print("{:<28}{:.3f}\n\n", "the federation", judged->value(metric).value_or(0));
    }

    Communicator world_;
    double started_ = wall_seconds();
    RunConfig config_;
    std::optional<Threads> threads_;
    RunFolder folder_;
    Assembly assembly_;
    RoundFacts* round_facts_ = nullptr;
    Evaluation* evaluation_ = nullptr;
    Stopping* stopping_ = nullptr;
    Checkpointer* checkpointer_ = nullptr;
    Recorder* recorder_ = nullptr;
    Progress* progress_ = nullptr;
    bool round_was_given_up_ = false;
    std::filesystem::path restored_from_;
    std::optional<Survival> survival_;
    struct Death {
        std::uint64_t round = 0;  // the first without them
        std::vector<int> dead;    // all ranks that have died until then
    };
    std::vector<Death> deaths_;
};

}  // namespace

int run_train(const std::vector<std::string>& arguments) {
    if (arguments.empty() || arguments.front() == "--help" || arguments.front() == "-h") {
        fmt::print(arguments.empty() ? stderr : stdout, "{}{}", usage, arguments.empty() ? "" : RunConfig().options.as_help());
        return static_cast<int>(arguments.empty() ? ExitCode::usage : ExitCode::done);
    }
    require(!arguments.front().starts_with("--"), "the configuration file comes first: silosum train CONFIG [--section.key value ...]");
    watch_stop_signals();  // before MPI starts, which takes its time: a signal must not end a rank that is about to train
    keep_files_private();
    const Launch launch = launch_of_this_process();
    return in_mpi_job(launch, [&](const Communicator& world) { return Job(world, arguments).run(); });
}

int run_resume(const std::vector<std::string>& arguments) {
    std::vector<std::string> with_resume = arguments;
    if (!with_resume.empty() && !with_resume.front().starts_with("-")) {
        with_resume.insert(with_resume.end(), {"--run.resume", "auto"});
    }
    return run_train(with_resume);
}

}  // namespace silosum

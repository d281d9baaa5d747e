#include "config/run_config.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "kernels/isa.hpp"
#include "observe/death_rehearsal.hpp"

namespace silosum {

void RunSettings::add_to(Options& options) {
    options
        .add("run.dir", &dir, "",
             "Folder of the run, made when missing; default: runs/NAME below the current folder, with the name of the "
             "configuration file.")
        .path();
    options.add("run.rounds", &rounds, 10, between(1, 4294967295.0), "Rounds to train.");
    options.add("run.seed", &seed, 1, at_least(0), "Seed of the initial model, batch order, dropout and selection.");
    options.add("run.resume", &resume, "never", "Whether to go on from the last good checkpoint in run.dir, if there is one.")
        .one_of({"never", "auto"});
    options.add("run.overwrite", &overwrite, false, "Start anew in a run.dir that holds an earlier run, whose files are removed.")
        .used_when([this] { return resume == "never"; }, [] { return "run.resume = auto"; });
    options.add("run.threads", &threads, 1, between(1, 1024), "Threads of each rank; the bits are the same for any number.");
    options
        .add(
            "run.isa", &isa, "auto",
            "Instruction set of the kernels (portable, neon, avx2, avx512 where the processor has it); auto: the best that all ranks have. "
            "Bits are equal within one set.")
        .check([this] {
            if (isa == "auto") return std::string();
            try {
                (void)kernels::isa_from_name(isa);
                return std::string();
            } catch (const Error& error) {
                return std::string(error.what());
            }
        });
    options
        .add("run.device", &device, "auto",
             "Where silos train: cpu, cuda (a GPU, shared out over the ranks of a machine), or auto: GPUs where every rank sees one. Bits "
             "are "
             "equal within one kind of device.")
        .one_of({"auto", "cpu", "cuda"});
    options.add("run.progress", &progress, "auto", "One live line, plain lines, or nothing; auto: live on a terminal, else lines.")
        .one_of({"auto", "live", "lines", "none"});
    options.add("run.warm_start", &warm_start, "", "Model file (.h5 or .safetensors) to start from instead of random values.").path();
    options
        .add(
            "run.on_dead_rank", &on_dead_rank, "end",
            "When a rank dies: end the run (run.resume = auto goes on from the last checkpoint), or continue with the silos of the other "
            "ranks. The launcher must let ranks outlive each other: mpirun --enable-recovery (Open MPI 4), mpirun --with-ft ulfm (Open MPI "
            "5); srun does not. See docs/dead-ranks.md.")
        .one_of({"end", "continue"});
    options.add("run.min_silos", &min_silos, 1, at_least(1), "The run ends where ranks that died have left fewer silos than this.")
        .used_when([this] { return survives(); }, [] { return "run.on_dead_rank = end"; });
    options
        .add("run.rehearse_death", &rehearse_death, {},
             "Ranks that kill themselves on purpose, ROUND:RANK:WAIT: in that round, at the time of this number that the rank would wait "
             "for "
             "others; to see what happens then.")
        .check([this] {
            try {
                for (const auto& text : rehearse_death) (void)rehearsed_death_from(text);
                return std::string();
            } catch (const Error& error) {
                return std::string(error.what());
            }
        });
    options.add(
        "run.grace_s", &grace_s, 20.0, at_least(0),
        "Seconds that a round may go on after SIGTERM, SIGINT or SIGUSR1. One that trains for longer is given up, and trained again "
        "when the run goes on; set it below the time that the system leaves (SLURM: KillWait, or --signal).");
    options.add("run.strict_permissions", &strict_permissions, false,
                "Refuse shards that every user of their machine can read, instead of warning (see data.public).");
}

RunConfig::RunConfig() {
    run.add_to(options);
    data.add_to(options);
    model.add_to(options);
    local.add_to(options);
    algorithm.add_to(options);
    selection.add_to(options);
    exchange.add_to(options);
    evaluation.add_to(options);
    checkpoint.add_to(options);
}

void RunConfig::load(const std::filesystem::path& file, const std::vector<std::string>& flags) {
    const std::string usual_dir = std::filesystem::absolute(std::filesystem::path("runs") / file.stem()).string();
    run.dir = usual_dir;
    const auto problems = options.load(file, flags);
    if (!problems.empty()) {
        throw UsageError(fmt::format("{} in the configuration {}:\n  {}", problems.size() == 1 ? "a problem" : "problems", file.string(),
                                     join(problems, "\n  ")));
    }
    if (run.dir.empty()) run.dir = usual_dir;
}

std::string RunConfig::identity() const {
    std::vector<std::string> without{"run.dir",
                                     "run.resume",
                                     "run.overwrite",
                                     "run.threads",
                                     "run.isa",
                                     "run.device",
                                     "run.progress",
                                     "run.warm_start",
                                     "run.on_dead_rank",
                                     "run.min_silos",
                                     "run.rehearse_death",
                                     "run.grace_s",
                                     "run.strict_permissions",
                                     "eval",
                                     "checkpoint",
                                     "data.shards",
                                     "data.stage",
                                     "data.public",
                                     "local.deadline_s",
                                     "local.math",  // part of the kind of device
                                     "exchange.count_leak",
                                     "exchange.transport",
                                     "exchange.chunk_kib",
                                     "exchange.deadline_s"};
    if (local.schedule != "cosine") without.emplace_back("run.rounds");  // only cosine looks ahead to the last round
    return options.fingerprint_text(without);
}

}  // namespace silosum

#include "config/run_config.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "kernels/isa.hpp"

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
                                     "eval",
                                     "checkpoint",
                                     "data.shards",
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

// The table of verbs. Errors that no verb handled itself end here: one line, and the exit code of the error.
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "base/denormals.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "base/version.hpp"
#include "comm/launch.hpp"
#include "commands/bench.hpp"
#include "commands/devices.hpp"
#include "commands/evaluate.hpp"
#include "commands/export.hpp"
#include "commands/inspect.hpp"
#include "commands/keygen.hpp"
#include "commands/plan.hpp"
#include "commands/predict.hpp"
#include "commands/report.hpp"
#include "commands/shard.hpp"
#include "commands/train.hpp"
#include "config/run_config.hpp"

namespace silosum {

namespace {

struct Verb {
    const char* name;
    const char* help;
    int (*run)(const std::vector<std::string>& arguments);
    bool is_parallel = false;  // all ranks of a job have the same arguments: one says what is wrong with them
};

const std::array verbs{
    Verb{"shard", "cut a data set into one HDF5 shard a silo", run_shard},
    Verb{"inspect", "show and check shards", run_inspect},
    Verb{"plan", "check a configuration and foretell memory and traffic, without training", run_plan},
    Verb{"train", "train a model over the silos (start it with mpirun or srun)", run_train, true},
    Verb{"resume", "train --run.resume auto: go on from the last checkpoint", run_resume, true},
    Verb{"evaluate", "measure a model on shards", run_evaluate},
    Verb{"predict", "write a model's predictions for a shard", run_predict},
    Verb{"export", "write a model in another format", run_export},
    Verb{"bench", "time aggregation beside MPI_Allreduce (start it with mpirun or srun)", run_bench, true},
    Verb{"report", "draw training runs as one page of HTML", run_report},
    Verb{"devices", "show the GPUs that training can use", run_devices},
    Verb{"keygen", "make a silo's key for secure sums", run_keygen},
};

constexpr const char* options_title =
    "# Options\n\n"
    "Made by `silosum --options-markdown`; a test compares. A key stands in a configuration as `key = value` below its `[section]`, and "
    "any can be\n"
    "given as a flag, `--section.key value`, which wins. Paths in a configuration are relative to its file, paths in flags to the current "
    "folder.\n"
    "Unknown keys, values out of range and keys that the chosen parts do not use are errors, all listed at once.\n";

std::string usage() {
    std::string text = "usage: silosum VERB ...\n\n";
    for (const auto& verb : verbs) text += fmt::format("  {:<10}{}\n", verb.name, verb.help);
    return text + "\n  silosum VERB --help    options of a verb\n  silosum --version\n";
}

int run(const std::vector<std::string>& arguments) {
    if (arguments.empty()) {
        fmt::print(stderr, "{}", usage());
        return static_cast<int>(ExitCode::usage);
    }
    const std::string& first = arguments.front();
    if (first == "--help" || first == "-h" || first == "help") {
        fmt::print("{}", usage());
        return 0;
    }
    if (first == "--version") {
        fmt::print("silosum {}\n", version);
        return 0;
    }
    if (first == "--options-markdown") {  // docs/options.md is made from this
        fmt::print("{}{}", options_title, RunConfig().options.as_markdown());
        return 0;
    }
    std::vector<std::string> names;
    for (const auto& verb : verbs) {
        if (first == verb.name) return verb.run({arguments.begin() + 1, arguments.end()});
        names.emplace_back(verb.name);
    }
    throw UsageError(unknown_name("verb", first, names));
}

// Whether what is wrong with the arguments of this process is so on all ranks, and said by the first.
bool is_said_by_another(const std::vector<std::string>& arguments) {
    const auto verb = std::ranges::find_if(verbs, [&](const Verb& v) { return !arguments.empty() && arguments.front() == v.name; });
    return (verb == verbs.end() || verb->is_parallel) && !launch_of_this_process().is_first;
}

}  // namespace

}  // namespace silosum

int main(int argc, char** argv) {
    silosum::flush_denormals();
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    try {
        const int code = silosum::run(arguments);
        silosum::require<silosum::RuntimeError>(std::fflush(stdout) == 0 && std::ferror(stdout) == 0,
                                                "standard output cannot be written: {}", std::strerror(errno));
        return code;
    } catch (const silosum::UsageError& error) {
        // With most launchers the end of one is the end of all. Where this process goes on, the first has nothing to say.
        if (silosum::is_said_by_another(arguments)) std::this_thread::sleep_for(std::chrono::seconds(1));
        fmt::print(stderr, "silosum: {}\n", error.what());
        return static_cast<int>(error.code());
    } catch (const silosum::Error& error) {
        fmt::print(stderr, "silosum: {}\n", error.what());
        return static_cast<int>(error.code());
    } catch (const std::exception& error) {
        fmt::print(stderr, "silosum: {}\n", silosum::text_of(error));
        return static_cast<int>(silosum::ExitCode::runtime);
    }
}

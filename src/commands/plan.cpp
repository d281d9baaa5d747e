#include "commands/plan.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/process.hpp"
#include "base/text.hpp"
#include "comm/mpi.hpp"
#include "commands/plan_scale.hpp"
#include "config/assemble.hpp"
#include "config/device_choice.hpp"
#include "config/needs.hpp"
#include "data/batch_order.hpp"
#include "device/devices.hpp"
#include "exchange/secure_group.hpp"
#include "federation/features.hpp"
#include "kernels/isa.hpp"
#include "privacy/fixed_point.hpp"

namespace silosum {

namespace {

constexpr const char* usage =
    "usage: silosum plan CONFIG [--ranks N] [--fit FILE ...] [--section.key value ...]\n"
    "       silosum plan --fit FILE --parameters N --ranks N ...    (silosum plan --fit FILE --help)\n\n"
    "Checks a configuration and its shards as `train` would and foretells memory and traffic; trains nothing.\n"
    "  --ranks N    ranks to plan for (default: local.ranks_per_silo for each silo)\n";

// Takes "--ranks N" out of the flags; 0 where it is not given.
int take_ranks(std::vector<std::string>& flags) {
    int ranks = 0;
    for (auto flag = flags.begin(); flag != flags.end(); ++flag) {
        if (*flag != "--ranks" && !flag->starts_with("--ranks=")) continue;
        const bool joined = *flag != "--ranks";
        require(joined || flag + 1 != flags.end(), "--ranks needs a number");
        const std::string text = joined ? flag->substr(8) : *(flag + 1);
        const auto result = std::from_chars(text.data(), text.data() + text.size(), ranks);
        require(result.ec == std::errc() && result.ptr == text.data() + text.size() && ranks >= 1,
                "--ranks {}: must be a whole number from 1 on", text);
        flags.erase(flag, flag + (joined ? 1 : 2));
        break;
    }
    return ranks;
}

void print_exchange(const RunConfig& config, const Census& census) {
    const std::size_t silos = Selection(config.selection, census.silos.size(), config.run.seed).silos_per_round();
    const std::uint64_t weight = largest_weight(config.exchange, census.largest_train());
    const auto plan = plan_encoding(static_cast<unsigned>(config.exchange.ring_bits), silos, config.exchange.range_value, weight);
    const std::uint64_t weight_sum = config.exchange.is_uniform() ? silos : census.totals.train * silos / census.silos.size();
    fmt::print("\nexchange: {} of {} silos a round, {}-bit ring, range {} ({}), rounding error of a mean at most {:.2e}\n", silos,
               census.silos.size(), config.exchange.ring_bits, config.exchange.range_value, config.exchange.range,
               plan.error_bound(std::max<std::uint64_t>(1, weight_sum)));
}

std::uint64_t steps_of_round(const RunConfig& config, std::uint64_t rows) {
    const BatchPlan plan{.rows = rows, .batch_size = config.local.batch_size, .drop_last = config.data.drop_last};
    return config.local.steps > 0 ? config.local.steps : config.local.epochs * plan.batches_per_epoch();
}

void check_warm_start(const RunConfig& config, const Census& census, std::span<const LayerSpec> layers, const Sequential& network) {
    if (config.run.warm_start.empty()) return;
    ModelDescription description;
    description.problem = census.problem;
    description.layers = layers_text(layers);
    description.loss = config.model.loss;
    description.class_names = census.class_names;
    description.feature_names = census.feature_names;
    (void)first_parameters(config, network, description);
}

// Keys stay with their silos, so that only the roster can be looked at, where this host has it.
void check_secure_group(const ExchangeConfig& exchange, const Census& census) {
    if (!exchange.secure) return;
    std::vector<std::string> names;
    std::vector<RosterEntry> roster;
    for (const auto& silo : census.silos) {
        names.push_back(silo.name);
        roster.push_back({.name = silo.name, .public_key = {}, .domain = {}});
    }
    std::error_code error;
    if (exchange.identities == "roster" && !std::filesystem::exists(exchange.roster, error) && !error) {
        fmt::print(stderr, "silosum: warning: exchange.roster: there is no {} here; hosts that run ranks need it\n", exchange.roster);
    } else if (exchange.identities == "roster") {
        roster = roster_of(exchange, names);
    }
    (void)plan_secure_sum(roster, {.graph = exchange.graph, .corrupt = exchange.corrupt, .dropouts = exchange.dropouts});
}

bool trains_on_gpus(const std::string& device) {
    return device == "cuda" || (device == "auto" && why_no_gpu().empty());
}

void print_memory(const std::string& title, const Memory& memory) {
    fmt::print("\n{}\n", title);
    for (const auto& [what, bytes] : memory.parts) fmt::print("  {:<31}{:>12}\n", what, size_text(static_cast<double>(bytes)));
    fmt::print("  {:<31}{:>12}  ({} bytes)\n", "total", size_text(static_cast<double>(memory.total())), memory.total());
}

// Of the GPUs of this machine, where it has any: those that the run will see may be others.
void check_gpus(const Memory& needed) {
    if (!why_no_gpu().empty()) return;
    std::fflush(stdout);
    const auto devices = cuda::list_devices();
    const auto& largest =
        *std::max_element(devices.begin(), devices.end(), [](const auto& a, const auto& b) { return a.memory_bytes < b.memory_bytes; });
    require(needed.total() <= largest.memory_bytes,
            "the largest rank needs {} of a GPU, but no GPU here has more than {} ({}): start more ranks so that each hosts fewer silos, "
            "lower local.batch_size, or set run.device = cpu",
            size_text(static_cast<double>(needed.total())), size_text(static_cast<double>(largest.memory_bytes)), largest.name);
}

// The round of a configuration as flags of plan_scale(); --silos among them wins over the shards.
void add_exchange(std::vector<std::string>& flags, const ExchangeConfig& exchange, std::size_t parameters, int ranks, std::size_t silos) {
    const bool has_silos = std::ranges::any_of(flags, [](const std::string& flag) { return flag.starts_with("--silos"); });
    const auto add = [&](const std::string& name, const auto& value) {
        flags.push_back("--" + name);
        flags.push_back(fmt::format("{}", value));
    };
    add("parameters", parameters);
    add("ranks", ranks);
    if (!has_silos) add("silos", silos);
    add("ring", exchange.ring_bits);
    add("chunk-kib", exchange.chunk_kib);
    add("graph", exchange.graph);
    add("corrupt", exchange.corrupt);
    add("dropouts", exchange.dropouts);
    if (exchange.transport == "messages") add("transport", exchange.transport);
    if (exchange.secure) flags.emplace_back("--secure");
    if (exchange.integrity == "tags") flags.emplace_back("--tags");
}

int plan(const std::vector<std::string>& arguments) {
    std::vector<std::string> flags(arguments.begin() + 1, arguments.end());
    int ranks = take_ranks(flags);
    auto scale_flags = take_scale_flags(flags);
    RunConfig config;
    config.load(arguments.front(), flags);
    int argc = 0;
    char** argv = nullptr;
    const Session session(argc, argv);  // its memory is part of what a rank takes
    const Communicator world = Communicator::world();
    require(world.size() == 1, "plan runs as one process; start it without mpirun and give --ranks");
    (void)agree_on_isa(world, config.run.isa);
    const std::size_t program_bytes = resident_bytes();

    Census census;
    std::vector<ShardBytes> shards;
    const auto files = shard_files(config.data.shards);
    require<DataError>(!files.empty(), "data.shards names no shard; make some with `silosum shard`");
    for (const auto& file : files) {
        const Shard shard = read_shard(file);
        census.add(declaration_of(shard));
        shards.push_back(bytes_of(shard));
    }
    check_run(config, census.silos.size());
    require(config.exchange.transport != "nccl" || trains_on_gpus(config.run.device),
            "exchange.transport = nccl needs run.device = cuda; here silos train on the processor");
    check_secure_group(config.exchange, census);
    check_rules(config.evaluation, census);
    check_class_weights(config.data, census.problem);
    const std::size_t test_bytes = config.evaluation.common_test.empty() ? 0 : bytes_of(read_common_test(config.evaluation, census)).all;
    if (ranks == 0) ranks = static_cast<int>(census.silos.size() * config.local.ranks_per_silo);
    const auto groups = static_cast<std::size_t>(config.local.groups_of(ranks));

    const auto layers = layers_for(config.model, census.problem);
    const Threads threads(1);
    const Sequential network(layers, census.problem, config.model.loss, threads, 1);
    check_warm_start(config, census, layers, network);
    const auto rank_count = static_cast<std::size_t>(ranks);
    fmt::print("{} on {}: {} train rows, the largest silo {}\n", counted(census.silos.size(), "silo"),
               ranks_text(rank_count, config.local.ranks_per_silo), census.totals.train, census.largest_train());
    if (groups > census.silos.size())
        fmt::print("{} without a silo\n", counted((groups - census.silos.size()) * config.local.ranks_per_silo, "rank"));
    fmt::print("{}: {}\n{} parameters ({})\n", to_string(census.problem), layers_text(layers), network.layout().size(),
               size_text(static_cast<double>(network.layout().size() * sizeof(float))));
    fmt::print("{} rounds of {} optimiser steps at the largest silo\n", config.run.rounds, steps_of_round(config, census.largest_train()));
    print_exchange(config, census);
    const Needs needs = needs_of(config, census, shards, test_bytes, ranks, program_bytes, trains_on_gpus(config.run.device));
    fmt::print("each rank sends {} a round\n", size_text(static_cast<double>(needs.bytes_sent_per_round)));
    if (needs.bytes_sent_per_step > 0)
        fmt::print("and {} a step to those that train a silo with it\n", size_text(static_cast<double>(needs.bytes_sent_per_step)));
    print_memory("memory of the largest rank", needs.host);
    if (!needs.gpu.parts.empty()) {
        print_memory("memory of a GPU for the largest rank, beside what CUDA and NCCL take themselves", needs.gpu);
        check_gpus(needs.gpu);
    }
    if (!scale_flags.empty()) {
        const bool is_another = std::ranges::any_of(
            scale_flags, [](const std::string& flag) { return flag.starts_with("--silos") || flag.starts_with("--machines"); });
        add_exchange(scale_flags, config.exchange, network.layout().size(), ranks,
                     Selection(config.selection, census.silos.size(), config.run.seed).silos_per_round());
        // What is above counts no keys and shares of other silos, which grow with their number.
        const ConfiguredRound configured{.hosts_several = census.silos.size() > groups,
                                         .has_shown_memory = !is_another && !config.exchange.secure};
        return plan_scale(scale_flags, &configured);
    }
    return static_cast<int>(ExitCode::done);
}

}  // namespace

int run_plan(const std::vector<std::string>& arguments) {
    if (arguments.empty() || arguments.front() == "--help" || arguments.front() == "-h") {
        fmt::print(arguments.empty() ? stderr : stdout, "{}", usage);
        return static_cast<int>(arguments.empty() ? ExitCode::usage : ExitCode::done);
    }
    const bool has_fit =
        std::ranges::any_of(arguments, [](const std::string& argument) { return argument == "--fit" || argument.starts_with("--fit="); });
    if (has_fit && arguments.front().starts_with("--")) return plan_scale(arguments);
    require(!arguments.front().starts_with("--"), "the configuration file comes first: silosum plan CONFIG [--section.key value ...]");
    return plan(arguments);
}

}  // namespace silosum

#include "config/assemble.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/process.hpp"
#include "base/text.hpp"
#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "data/standardise.hpp"
#include "exchange/exact_sum.hpp"
#include "exchange/secure_sum.hpp"
#include "federation/features.hpp"
#include "io/permissions.hpp"

namespace silosum {

namespace {

void check_count(const DataConfig& config, std::size_t found) {
    require<DataError>(config.silos == 0 || config.silos == found,
                       "data.silos = {}, but data.shards names {}: put the missing ones there, or set data.silos = {}", config.silos,
                       counted(found, "shard"), found);
}

// Rank 0 looks into the folders, as they may look different elsewhere.
std::vector<std::filesystem::path> files_on_all(const Communicator& world, const DataConfig& config) {
    std::string text;
    succeed_on_first(world, [&] {
        const auto files = shard_files(config.shards);
        require<DataError>(!files.empty(), "data.shards names no shard; make some with `silosum shard`");
        for (const auto& file : files) {
            const std::string name = std::filesystem::absolute(file).string();
            require<DataError>(first_not_utf8(name) == std::string::npos && name.find('\n') == std::string::npos,
                               "data.shards: the name of {} must be UTF-8 text without line breaks; rename it", name);
            text += (text.empty() ? "" : "\n") + name;
        }
    });
    broadcast_text(world, text, 0);
    std::vector<std::filesystem::path> files;
    for (const auto& file : split(text, '\n')) files.emplace_back(file);
    succeed_on_first(world, [&] { check_count(config, files.size()); });
    return files;
}

// Where every silo has its own mean and deviation, rows that belong to no silo are standardised with those of all train rows together.
std::optional<CommonTest> common_test_on_all(const Communicator& world, Sums& sums, const EvaluationConfig& config, const Census& census,
                                             const std::vector<Silo>& silos, Standardisation standardisation) {
    std::optional<CommonTest> common_test;
    if (config.common_test.empty()) return common_test;
    if (standardisation.kind == "silo") standardisation = standardisation_of(federated_moments(world, sums, census.problem, silos));
    succeed_on_all(world, [&] {
        CommonTest test{read_common_test(config, census), {}};
        test.features = affine_for(standardisation, test.shard);
        common_test = std::move(test);
    });
    return common_test;
}

// Each rank looks at the shards it has read: others it may not even see.
void check_readers(const Communicator& world, const RunConfig& config, const std::vector<Silo>& silos) {
    if (config.data.is_public) return;
    std::string open;
    for (const Silo& silo : silos) {
        if (is_readable_by_all(silo.shard().path)) open += silo.shard().path.string() + "\n";
    }
    succeed_on_all(world, [&] {
        require<DataError>(open.empty() || !config.run.strict_permissions,
                           "run.strict_permissions: every user of this machine can read {}; take that from them (chmod o-r), or set "
                           "data.public = true where it is no secret",
                           open.substr(0, open.find('\n')));
    });
    const auto texts = gather_text(world, open, 0);
    const auto files = split(join(texts, ""), '\n');
    if (world.rank() != 0 || files.front().empty()) return;
    fmt::print(stderr,
               "silosum: warning: every user of their machine can read {} ({}{}); take that from them (chmod o-r), or set data.public = "
               "true where they are no secret\n",
               counted(files.size() - 1, "shard"), files.front(), files.size() > 2 ? ", ..." : "");
}

// What masks cannot hide is refused before any rank trains.
void check_secure(const RunConfig& config, std::size_t silos) {
    require(!config.local.keeps_state(),
            "exchange.secure does not go with local.state = keep: checkpoints would hold what single silos have learnt; use reset");
    require(!config.evaluation.compare_local,
            "exchange.secure does not go with eval.compare_local, which shows every silo's own model to all; set it to false");
    const bool selects = config.selection.silos_per_round != 0 && config.selection.silos_per_round < silos;
    require(
        !selects || config.exchange.is_uniform() || config.exchange.count_leak == "accept",
        "exchange.secure with selection.silos_per_round = {} of {} silos: sums of sample counts over many sets of silos show the counts of "
        "single ones; use exchange.weights = uniform, or exchange.count_leak = accept",
        config.selection.silos_per_round, silos);
}

std::unique_ptr<SecureGroup> secure_group(const Communicator& world, const RunConfig& config, const ExchangeSetup& setup) {
    if (!config.exchange.secure) return nullptr;
    succeed_on_all(world, [&] {
        check_secure(config, setup.names.size());
        keep_memory_private();  // before keys are read
    });
    auto group = std::make_unique<SecureGroup>(world, config.exchange, setup.names, setup.hosted, setup.ranks_per_silo);
    succeed_on_all(world, [&] {
        const std::size_t selected = config.selection.silos_per_round == 0 ? setup.names.size() : config.selection.silos_per_round;
        require(selected >= group->plan().least_trained,
                "exchange.secure: {} silos train in a round, but with exchange.corrupt = {:.3g} at least {} must, so that a sum over them "
                "hides each; select more, or lower exchange.corrupt",
                selected, config.exchange.corrupt, group->plan().least_trained);
    });
    return group;
}

std::unique_ptr<GroupTraining> group_training(const Communicator& world, const RankGroups& ranks, const RunConfig& config,
                                              Trainer& trainer) {
    if (ranks.each() == 1) return nullptr;
    std::unique_ptr<GroupTraining> training;
    agree_on_error(world, error_of([&] {
                       training = std::make_unique<GroupTraining>(ranks, trainer.network().gradient_size(), config.exchange.transport,
                                                                  config.exchange.chunk_kib * 1024);
                   }));
    trainer.share_with(*training);
    return training;
}

std::unique_ptr<Exchange> make_exchange(const Communicator& world, const RunConfig& config, const ExchangeSetup& setup,
                                        SecureGroup* group) {
    if (group != nullptr) return std::make_unique<SecureSum>(world, config.exchange, setup, *group);
    return std::make_unique<ExactSum>(world, config.exchange, setup);
}

// What nobody has taught to go on without a part of its ranks.
void check_survival(const RunConfig& config) {
    if (!config.run.survives()) return;
    require(config.local.ranks_per_silo == 1, "run.on_dead_rank = continue does not go with local.ranks_per_silo = {}: use end",
            config.local.ranks_per_silo);
    require(
        !config.local.keeps_state(),
        "run.on_dead_rank = continue does not go with local.state = keep, as a round that is done again would begin from another state: "
        "use reset, or end");
    require(config.exchange.transport != "nccl",
            "run.on_dead_rank = continue does not go with exchange.transport = nccl: use auto, or end");
}

// Rank 0 makes or reads the first model: the mathematical functions of other ranks' libraries may round otherwise.
Parameters first_model_on_all(const RunConfig& config, const Sequential& network, const ModelDescription& description, Exchange& exchange,
                              bool is_resumed) {
    Parameters global = exchange.make_model(network.layout());
    exchange.publish_first(global, [&](std::span<float> values) {
        if (is_resumed && !config.evaluation.compare_local) return;  // silos alone begin from the first model too
        const Parameters first = first_parameters(config, network, description);
        std::copy(first.values.begin(), first.values.end(), values.begin());
    });
    return global;
}

}  // namespace

void check_run(const RunConfig& config, std::size_t silos) {
    check_count(config.data, silos);
    check_survival(config);
    if (config.exchange.secure) check_secure(config, silos);
}

void load_on_all(const Communicator& world, RunConfig& config, const std::filesystem::path& file, const std::vector<std::string>& flags) {
    succeed_on_first(world, [&] { config.load(file, flags); });
    std::string text = config.options.as_ini();
    broadcast_text(world, text, 0);
    succeed_on_all(world, [&] {
        if (world.rank() == 0) return;
        const auto problems = config.options.load_text(text);
        require<RuntimeError>(problems.empty(), "this rank cannot use the configuration of rank 0: {}", join(problems, "; "));
    });
}

kernels::Isa agree_on_isa(const Communicator& world, const std::string& name) {
    kernels::Isa isa = kernels::best_isa();
    if (name == "auto") {
        // Ranks on other processors: the best that all have. Sets of one kind of processor are ordered.
        std::vector<std::uint64_t> best{static_cast<std::uint64_t>(isa)};
        all_reduce_min(world, std::span<std::uint64_t>(best));
        isa = static_cast<kernels::Isa>(best[0]);
    }
    succeed_on_all(world, [&] {
        if (name != "auto") isa = kernels::isa_from_name(name);
        kernels::use_isa(isa);
    });
    return isa;
}

Shard read_common_test(const EvaluationConfig& config, const Census& census) {
    Shard shard = read_test_shard(config.common_test);
    require<DataError>(shard.problem == census.problem, "eval.common_test: {} is {}, but the silos' shards are {}", config.common_test,
                       to_string(shard.problem), to_string(census.problem));
    const auto check_names = [&](const char* what, const std::vector<std::string>& mine, const std::vector<std::string>& theirs) {
        const std::string found = mine.empty() || theirs.empty() ? "" : difference(theirs, mine);
        require<DataError>(found.empty(),
                           "eval.common_test: {} has other names of {} than the silos' shards: {}; cut them from one data set",
                           config.common_test, what, found);
    };
    check_names("classes", shard.class_names, census.class_names);
    check_names("features", shard.feature_names, census.feature_names);
    return shard;
}

Parameters first_parameters(const RunConfig& config, const Sequential& network, const ModelDescription& description) {
    if (config.run.warm_start.empty()) {
        Parameters parameters(network.layout());
        network.initialise(config.run.seed, config.model.initial_values(), parameters.values.span());
        return parameters;
    }
    try {
        return load_parameters(config.run.warm_start, network.layout(), description);
    } catch (const DataError& error) {
        throw DataError(fmt::format("run.warm_start: {}", error.what()));
    }
}

Assembly assemble(const Communicator& world, const RunConfig& config, const DeviceChoice& device, bool is_resumed) {
    succeed_on_all(world, [&] {
        (void)config.local.groups_of(world.size());
        check_survival(config);
    });
    const auto isa = agree_on_isa(world, config.run.isa);
    const auto each = static_cast<int>(config.local.ranks_per_silo);
    auto ranks = std::make_unique<RankGroups>(world, each);
    const auto files = files_on_all(world, config.data);
    std::vector<Silo> silos;
    // A ledger notices other data by itself; where there is none, nothing is secret.
    const bool has_secrets = config.exchange.secure && config.exchange.identities == "roster";
    Census census = take_census(world, *ranks, files, silos, config.exchange.secure, has_secrets, config.data.stage);
    check_readers(world, config, silos);
    ExchangeSetup setup;
    setup.ranks_per_silo = each;
    for (const Silo& silo : silos) setup.hosted.push_back(silo.id());
    for (const auto& silo : census.silos) setup.names.push_back(silo.name);
    auto group = secure_group(world, config, setup);
    auto sums = group ? make_secure_sums(*group) : make_plain_sums(world, each);
    if (group) census.totals = sum_rows(*sums, census, silos);
    const Standardisation standardisation = standardise(world, *sums, config.data.standardise, census.problem, silos);
    const auto weights = class_weights(world, *sums, config.data, census.problem, silos);
    auto common_test = common_test_on_all(world, *sums, config.evaluation, census, silos, standardisation);

    std::vector<LayerSpec> layers;
    std::optional<Trainer> trainer;
    std::uint64_t largest_train = 1;  // of this rank's silos
    for (const Silo& silo : silos) largest_train = std::max<std::uint64_t>(largest_train, silo.shard().train.rows);
    const auto largest_batch = static_cast<std::size_t>(config.local.part_size_for(largest_train));
    succeed_on_all(world, [&] {
        layers = layers_for(config.model, census.problem);
        trainer.emplace(layers, census.problem, config.model.loss, config.local, config.data.drop_last, config.run.seed, config.run.rounds,
                        largest_batch, device.stream);
        if (!weights.empty()) trainer->network().set_class_weights(weights);
    });
    auto training = group_training(world, *ranks, config, *trainer);
    std::optional<Selection> selection;
    std::unique_ptr<Algorithm> algorithm;
    succeed_on_all(world, [&] {
        selection.emplace(config.selection, census.silos.size(), config.run.seed);
        algorithm = make_algorithm(config.algorithm);
    });
    setup.parameters = trainer->network().layout().size();
    setup.silos_per_round = selection->silos_per_round();
    setup.largest_shard = census.largest_train();
    setup.numbers = 2;
    if (config.exchange.transport == "nccl" && device.stream.is_cuda()) {
        succeed_on_all(world, [&] {
            require(!device.is_shared,
                    "exchange.transport = nccl needs a GPU for each rank, but some ranks of a machine share one: start fewer");
            // Tags of ledgers, and the comparison in a group, are the host's.
            trainer->use_models_here(config.exchange.secure || each > 1);
        });
        setup.gpu = device.stream;
    }
    auto exchange = make_exchange(world, config, setup, group.get());
    Assembly assembly;
    assembly.exchange_setup = setup;
    assembly.description = {.problem = census.problem,
                            .layers = layers_text(layers),
                            .loss = config.model.loss,
                            .round = 0,
                            .standardisation = standardisation,
                            .class_names = census.class_names,
                            .feature_names = census.feature_names,
                            .class_weights = weights};
    Parameters global = first_model_on_all(config, trainer->network(), assembly.description, *exchange, is_resumed);
    trainer->give_in(exchange->make_local());
    assembly.identity = {.configuration = config.identity(),
                         .layout = global.layout.text(),
                         .isa = device.kind.empty() ? kernels::to_string(isa) : device.kind + ", " + kernels::to_string(isa),
                         .silos = {}};
    for (const auto& silo : census.silos) assembly.identity.silos.emplace_back(silo.name, silo.fingerprint);
    assembly.common_test = std::move(common_test);
    assembly.federation = std::make_unique<Federation>(Federation{.world = world,
                                                                  .ranks = std::move(ranks),
                                                                  .census = std::move(census),
                                                                  .silos = std::move(silos),
                                                                  .training = std::move(training),
                                                                  .trainer = std::move(*trainer),
                                                                  .global = std::move(global),
                                                                  .selection = *selection,
                                                                  .group = std::move(group),
                                                                  .sums = std::move(sums),
                                                                  .exchange = std::move(exchange),
                                                                  .algorithm = std::move(algorithm),
                                                                  .observers = {},
                                                                  .clock = {}});
    return assembly;
}

void leave_out(Assembly& assembly, const RunConfig& config, const std::vector<std::uint32_t>& lost) {
    Federation& fed = *assembly.federation;
    fed.lost = lost;
    fed.census.leave_out(lost);
    fed.ranks = std::make_unique<RankGroups>(fed.world, 1);
    if (fed.group) fed.group->go_on_with(fed.world);
    ExchangeSetup& setup = assembly.exchange_setup;
    setup.lost = lost;
    succeed_on_all(fed.world, [&] { fed.trainer.give_in_own(); });
    fed.exchange->forget_local();  // of which MPI knows nothing, as it does of the rest
    (void)fed.exchange.release();
    const auto* const old = new Parameters(std::move(fed.global));
    fed.exchange = make_exchange(fed.world, config, setup, fed.group.get());
    fed.global = fed.exchange->make_model(old->layout);
    fed.trainer.give_in(fed.exchange->make_local());
}

}  // namespace silosum

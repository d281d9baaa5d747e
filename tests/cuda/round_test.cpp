// Whole rounds of ranks with an emulated GPU each: with exchange.transport = nccl models stay there, and the bits are those of sums on the
// host.
#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "algorithms/fed_avg.hpp"
#include "cuda_emulator.hpp"
#include "exchange/exact_sum.hpp"
#include "exchange/secure_sum.hpp"
#include "federation/federation.hpp"
#include "model/model_list.hpp"
#include "observe/round_facts.hpp"
#include "support/model_case.hpp"
#include "support/test_stream.hpp"

namespace silosum {
namespace {

const Problem problem = test::classes_of({60}, 3);
constexpr std::uint64_t rounds = 2;

Shard some_shard(std::uint32_t silo) {
    Shard shard;
    shard.silo = fmt::format("s{}", silo);
    shard.problem = problem;
    const test::Samples samples(problem, 9 + silo);
    shard.train.rows = 9 + silo;
    shard.train.features = problem.features();
    shard.train.floats = samples.x;
    shard.train.labels = samples.labels;
    shard.fingerprint = fingerprint_of(shard);
    return shard;
}

struct Setting {
    std::size_t silos = 4;
    std::string transport = "nccl";
    std::string range = "from_previous";
    bool secure = false;
    int ranks_per_silo = 1;
    std::size_t width = 10;  // of the model
};

// What a round copied between the host and this rank's GPU.
class CopyCounter final : public Observer {
public:
    void after_round(RoundReport&) override {
        const emulator::Copied now = emulator::copied_bytes();
        of_rounds.push_back({now.to_device - before_.to_device, now.to_host - before_.to_host});
        before_ = now;
    }
    std::vector<emulator::Copied> of_rounds;

private:
    emulator::Copied before_ = emulator::copied_bytes();
};

class RoundOnGpus : public testing::Test {
protected:
    struct Trained {
        std::vector<float> model;
        std::vector<emulator::Copied> copied;  // by round
        std::size_t model_bytes = 0;
    };

    Trained train(const Setting& setting, bool records = false) {
        LocalConfig local;
        Options options;
        local.add_to(options);
        local.batch_size = 4;
        auto ranks = std::make_unique<RankGroups>(world, setting.ranks_per_silo);
        ExchangeConfig config;
        config.transport = setting.transport;
        config.range = setting.range;
        config.secure = setting.secure;
        config.identities = "throwaway";
        config.corrupt = 0;
        config.cipher = "chacha20";  // the faster one under emulation
        config.max_weight = 64;
        ExchangeSetup setup{
            .hosted = {}, .silos_per_round = setting.silos, .largest_shard = 64, .numbers = 2, .ranks_per_silo = setting.ranks_per_silo};
        Census census;
        std::vector<Silo> silos;
        for (std::uint32_t id = 0; id < setting.silos; ++id) {
            const Shard shard = some_shard(id);
            census.add(declaration_of(shard));
            setup.names.push_back(shard.silo);
            if (host_of(id, ranks->count()) != ranks->group()) continue;
            setup.hosted.push_back(id);
            silos.emplace_back(id, shard);
        }
        Trainer trainer(test::layers_from(fmt::format("dense {}, tanh, dense outputs", setting.width)), problem, "auto", local, false, 7,
                        rounds, 4, stream);
        setup.parameters = trainer.network().layout().size();
        std::unique_ptr<GroupTraining> training;
        if (setting.ranks_per_silo > 1) {
            training = std::make_unique<GroupTraining>(*ranks, trainer.network().gradient_size(), "messages", 1 << 16);
            trainer.share_with(*training);
        }
        if (setting.transport == "nccl") {
            setup.gpu = stream;
            trainer.use_models_here(setting.secure || setting.ranks_per_silo > 1);
        }
        auto group =
            setting.secure ? std::make_unique<SecureGroup>(world, config, setup.names, setup.hosted, setting.ranks_per_silo) : nullptr;
        std::unique_ptr<Exchange> exchange;
        if (group) {
            exchange = std::make_unique<SecureSum>(world, config, setup, *group);
        } else {
            exchange = std::make_unique<ExactSum>(world, config, setup);
        }
        Parameters global = exchange->make_model(trainer.network().layout());
        exchange->publish_first(global, [&](std::span<float> values) { trainer.network().initialise(7, InitialValues::fan_in, values); });
        Federation fed{.world = world,
                       .ranks = std::move(ranks),
                       .census = std::move(census),
                       .silos = std::move(silos),
                       .training = std::move(training),
                       .trainer = std::move(trainer),
                       .global = std::move(global),
                       .selection = Selection({}, setting.silos, 7),
                       .group = std::move(group),
                       .sums = make_plain_sums(world, setting.ranks_per_silo),
                       .exchange = std::move(exchange),
                       .algorithm = std::make_unique<FedAvg>(0.7),
                       .observers = {},
                       .clock = {}};
        if (records) fed.observers.push_back(std::make_unique<RoundFacts>(fed));
        auto counter = std::make_unique<CopyCounter>();
        CopyCounter& counted = *counter;
        fed.observers.push_back(std::move(counter));
        (void)run_synchronous(fed, {.number = 1, .total = rounds, .participants = {}});
        Trained trained{.model = {}, .copied = counted.of_rounds, .model_bytes = 4 * setup.parameters};
        const auto values = fed.exchange->on_host(fed.global).values.span();
        trained.model.assign(values.begin(), values.end());
        return trained;
    }

    // Rows, losses, counters and keys are copied all the same; the first round brings the shards too.
    static void expect_copies(const Trained& trained, std::size_t models_to_device, std::size_t models_to_host) {
        const std::size_t scalars = trained.model_bytes / 5;
        for (std::size_t round = 1; round < trained.copied.size(); ++round) {
            EXPECT_LE(trained.copied[round].to_device, models_to_device * trained.model_bytes + scalars) << "round " << round + 1;
            EXPECT_LE(trained.copied[round].to_host, models_to_host * trained.model_bytes + scalars) << "round " << round + 1;
        }
    }

    Communicator world = Communicator::world();
    const Stream& stream = test::stream();
};

TEST_F(RoundOnGpus, NoModelLeavesItsGpu) {
    for (const std::size_t silos : {static_cast<std::size_t>(world.size()), std::size_t{5}}) {
        for (const char* range : {"from_previous", "agreed"}) {
            SCOPED_TRACE(fmt::format("{} silos, {}", silos, range));
            expect_copies(train({.silos = silos, .range = range, .width = 200}), 0, 0);
        }
    }
}

TEST_F(RoundOnGpus, TheRecordTakesACopyOnRank0Alone) {
    expect_copies(train({.width = 200}, true), 0, world.rank() == 0 ? 1 : 0);
}

// Which tags what its silos give, and hashes what it got.
TEST_F(RoundOnGpus, MasksTakeCopiesToTheHostAndNoneBack) {
    const Setting setting{.silos = 4, .secure = true, .width = 200};
    const std::size_t hosted =
        (4 + static_cast<std::size_t>(world.size()) - 1 - static_cast<std::size_t>(world.rank())) / static_cast<std::size_t>(world.size());
    expect_copies(train(setting), 0, hosted + 1);
}

TEST_F(RoundOnGpus, TheBitsAreThoseOfSumsOnTheHost) {
    for (const int each : std::set<int>{1, world.size()}) {
        for (const std::size_t silos : {4U, 5U}) {
            SCOPED_TRACE(fmt::format("{} silos, {} ranks each", silos, each));
            for (const char* range : {"from_previous", "agreed"}) {
                const auto on_host = train({.silos = silos, .transport = "messages", .range = range, .ranks_per_silo = each}).model;
                EXPECT_EQ(train({.silos = silos, .range = range, .ranks_per_silo = each}).model, on_host) << range;
            }
            const auto masked_on_host = train({.silos = silos, .transport = "messages", .secure = true, .ranks_per_silo = each}).model;
            EXPECT_EQ(train({.silos = silos, .secure = true, .ranks_per_silo = each}).model, masked_on_host);
        }
    }
}

}  // namespace
}  // namespace silosum

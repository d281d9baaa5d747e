// What FedAvg must equal: plain SGD for one silo, gradient descent on all rows together for full batches, itself for doubled silos.
// Both sides differ by the rounding of float sums and of the encoding only; the tolerances are those bounds.
#include <cmath>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include "algorithms/fed_avg.hpp"
#include "comm/mpi.hpp"
#include "data/batch_order.hpp"
#include "data/loader.hpp"
#include "exchange/exact_sum.hpp"
#include "federation/federation.hpp"

namespace silosum {
namespace {

const Problem problem{.task = Task::classification, .classes = 3, .feature_shape = {5}};
const std::vector<LayerSpec> layers = parse_layers(std::vector<std::string>{"dense 4", "tanh", "dense outputs"});

// Rows [first, first + rows) of one endless data set.
Shard rows_of_data_set(std::size_t first, std::size_t rows) {
    const Random random(11, Purpose::split);
    Shard shard{.silo = std::to_string(first),
                .problem = problem,
                .source = {},
                .path = {},
                .train = {},
                .validation = {},
                .test = {},
                .class_names = {},
                .feature_names = {},
                .fingerprint = {}};
    shard.train.rows = rows;
    shard.train.features = 5;
    for (std::size_t row = first; row < first + rows; ++row) {
        for (std::size_t f = 0; f < 5; ++f) shard.train.floats.push_back(static_cast<float>(random.normal(row * 8 + f)));
        shard.train.labels.push_back(static_cast<std::int32_t>(random.below(row * 8 + 7, 3)));
    }
    return shard;
}

struct Setting {
    std::vector<std::pair<std::size_t, std::size_t>> silos;  // first row and rows of each
    std::uint64_t batch_size = 0;
    std::uint64_t rounds = 3;
    std::string weights = "samples";
};

std::vector<float> federated(const Setting& run) {
    const Communicator world = Communicator::world();
    const Threads threads(1);
    LocalConfig local;
    Options options;
    local.add_to(options);
    local.batch_size = run.batch_size;
    local.lr = 0.2;
    std::vector<Silo> silos;
    std::uint64_t largest = 1;
    for (std::size_t i = 0; i < run.silos.size(); ++i) {
        largest = std::max<std::uint64_t>(largest, run.silos[i].second);
        if (host_of(i, world.size()) != world.rank()) continue;
        silos.emplace_back(static_cast<std::uint32_t>(i), rows_of_data_set(run.silos[i].first, run.silos[i].second));
    }
    Trainer trainer(layers, problem, "auto", local, false, 7, run.rounds, 64, threads);
    Parameters global(trainer.network().layout());
    trainer.network().initialise(7, InitialValues::fan_in, global.values.span());
    ExchangeSetup setup{
        .parameters = global.values.size(), .hosted = {}, .silos_per_round = run.silos.size(), .largest_shard = largest, .numbers = 2};
    for (const Silo& silo : silos) setup.hosted.push_back(silo.id());
    ExchangeConfig exchange;
    exchange.ring_bits = 64;
    exchange.weights = run.weights;
    Federation fed{.world = world,
                   .ranks = std::make_unique<RankGroups>(world, 1),
                   .census = {},
                   .silos = std::move(silos),
                   .training = nullptr,
                   .trainer = std::move(trainer),
                   .global = std::move(global),
                   .selection = Selection({}, run.silos.size(), 7),
                   .group = nullptr,
                   .sums = make_plain_sums(world),
                   .exchange = std::make_unique<ExactSum>(world, exchange, setup),
                   .algorithm = std::make_unique<FedAvg>(1.0),
                   .observers = {},
                   .clock = {}};
    run_synchronous(fed, {.number = 1, .total = run.rounds, .participants = {}});
    return {fed.global.values.begin(), fed.global.values.end()};
}

// The same number of rounds of plain SGD, without any exchange.
std::vector<float> plain_sgd(const Setting& run) {
    const Threads threads(1);
    Sequential network(layers, problem, "auto", threads, 64);
    std::vector<float> model(network.layout().size());
    network.initialise(7, InitialValues::fan_in, model);
    network.load(model);
    const Shard shard = rows_of_data_set(run.silos[0].first, run.silos[0].second);
    Optimizer optimizer = network.make_optimizer({});
    std::vector<float> x(64 * 5);
    for (std::uint32_t round = 1; round <= run.rounds; ++round) {
        BatchOrder order = BatchOrder::of_epochs({.rows = shard.train.rows, .batch_size = run.batch_size}, 7, 0, round, 1);
        for (auto rows = order.next(); !rows.empty(); rows = order.next()) {
            gather(shard.train, {}, rows, x.data());
            std::vector<std::int32_t> labels;
            for (const auto row : rows) labels.push_back(shard.train.labels[row]);
            network.train_step({rows.size(), x.data(), labels.data(), nullptr}, optimizer, 0.2, Random(7, Purpose::dropout), 0);
        }
    }
    network.store(model);
    return model;
}

void expect_close(const std::vector<float>& a, const std::vector<float>& b, double tolerance) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], tolerance * std::max(1.0F, std::fabs(b[i]))) << i;
}

TEST(FedAvgLaws, OneSiloIsPlainSgd) {
    // A round moves x to x + (y - x), in double and rounded once: half an ulp a round, carried on by a few training steps.
    const Setting run{.silos = {{0, 50}}, .batch_size = 8, .rounds = 3};
    expect_close(federated(run), plain_sgd(run), 1e-6);
}

TEST(FedAvgLaws, FullBatchesOfUnequalSilosAreGradientDescentOnAllRowsTogether) {
    const Setting together{.silos = {{0, 60}}};
    const Setting apart{.silos = {{0, 7}, {7, 31}, {38, 22}}};
    expect_close(federated(apart), federated(together), 2e-6);
}

TEST(FedAvgLaws, UniformWeightsNeedEqualSilosForThat) {
    const Setting together{.silos = {{0, 60}}};
    const Setting equal{.silos = {{0, 20}, {20, 20}, {40, 20}}, .batch_size = 0, .rounds = 3, .weights = "uniform"};
    expect_close(federated(equal), federated(together), 2e-6);
    const Setting unequal{.silos = {{0, 7}, {7, 31}, {38, 22}}, .batch_size = 0, .rounds = 3, .weights = "uniform"};
    const auto a = federated(unequal);
    const auto b = federated(together);
    double largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::fabs(static_cast<double>(a[i]) - b[i]));
    EXPECT_GT(largest, 1e-3);
}

TEST(FedAvgLaws, DoublingEverySiloChangesNothing) {
    const Setting once{.silos = {{0, 7}, {7, 31}}};
    const Setting twice{.silos = {{0, 7}, {7, 31}, {0, 7}, {7, 31}}};
    expect_close(federated(twice), federated(once), 2e-6);
}

}  // namespace
}  // namespace silosum

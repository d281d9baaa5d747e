// Whole trainings on the emulated GPU: what the processor gives, within what rounding explains, and the same bits again whatever the
// schedule.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "cuda_emulator.hpp"
#include "data/batch_order.hpp"
#include "data/loader.hpp"
#include "federation/silo.hpp"
#include "model/model_list.hpp"
#include "support/model_case.hpp"
#include "support/test_stream.hpp"

namespace silosum {
namespace {

using test::classes_of;
using test::layers_from;
using test::regression_of;
using test::Samples;

const Threads threads(1);
const Stream processor(threads);

struct Run {
    std::vector<double> losses;
    std::vector<float> parameters;
};

/// A batch of the host in the memory of a stream.
struct BatchHere {
    Buffer<float> x;
    Buffer<std::int32_t> labels;
    Buffer<float> targets;

    BatchHere(const Stream& stream, const Samples& samples)
        : x(copied(stream, samples.x)), labels(copied(stream, samples.labels)), targets(copied(stream, samples.targets)) {
        stream.wait();
    }
    template <class T>
    static Buffer<T> copied(const Stream& stream, const std::vector<T>& values) {
        auto buffer = stream.allocate<T>(values.size());
        stream.upload(std::span<const T>(values), buffer.span());
        return buffer;
    }
};

struct Training {
    std::vector<LayerSpec> layers;
    Problem problem;
    OptimizerSettings optimizer = {};
    std::size_t batch_size = 4;
    std::size_t batches = 3;
    std::uint64_t steps = 10;
    double lr = 0.1;
    float disturbance = 0;  // relative, of the parameters to start with

    [[nodiscard]] Run on(const Stream& stream) const {
        Sequential model(layers, problem, "auto", stream, batch_size);
        auto parameters = test::some_parameters(model);
        const Random random(9, Purpose::split);
        for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i] *= 1 + disturbance * (random.word(i) % 2 == 0 ? 1.0F : -1.0F);
        model.load(parameters);
        Optimizer steps_of = model.make_optimizer(optimizer);
        const Samples samples(problem, batch_size * batches);
        const BatchHere here(stream, samples);
        for (std::uint64_t step = 0; step < steps; ++step) {
            const std::size_t first = step % batches * batch_size;
            const Batch batch{.samples = batch_size,
                              .x = here.x.data() + first * problem.features(),
                              .labels = here.labels.empty() ? nullptr : here.labels.data() + first,
                              .targets = here.targets.data() + first};
            model.train_step(batch, steps_of, lr, Random(2, Purpose::dropout, 1, 3), step);
        }
        Run run;
        for (const auto& sum : model.take_losses()) run.losses.push_back(sum.loss / sum.weight);
        model.store(parameters);
        run.parameters = parameters;
        return run;
    }
};

LocalConfig default_settings() {
    LocalConfig local;
    Options options;
    local.add_to(options);
    return local;
}

/// The GPU sums in another order, so its parameters go another way by a rounding in each operation of each step. The processor shows how
/// far such a disturbance leads: started with every parameter off by 4 units of 2^-24, up or down. Eight times that is allowed, and the
/// rounding of the loss itself.
void expect_the_same_way(const Training& training) {
    Training disturbed = training;
    disturbed.disturbance = 4 * 0x1p-24F;
    const Run expected = training.on(processor), other = disturbed.on(processor), run = training.on(test::stream());
    ASSERT_EQ(run.losses.size(), training.steps);
    double wandered = 0;
    for (std::size_t step = 0; step < run.losses.size(); ++step) {
        wandered = std::max(wandered, std::abs(other.losses[step] - expected.losses[step]));
        ASSERT_NEAR(run.losses[step], expected.losses[step], 8 * wandered + 64 * 0x1p-24 * (1 + expected.losses[step])) << step;
    }
    double distance = 0, moved = 0, largest = 0;
    for (std::size_t i = 0; i < run.parameters.size(); ++i) {
        distance = std::max(distance, std::abs(static_cast<double>(run.parameters[i]) - static_cast<double>(expected.parameters[i])));
        moved = std::max(moved, std::abs(static_cast<double>(other.parameters[i]) - static_cast<double>(expected.parameters[i])));
        largest = std::max(largest, std::abs(static_cast<double>(expected.parameters[i])));
    }
    EXPECT_LE(distance, 8 * moved + 64 * 0x1p-24 * largest);
}

TEST(TrainingOnAGpu, TheCnnGoesTheProcessorsWayFor50Steps) {
    expect_the_same_way({.layers = model_layers("cnn"), .problem = classes_of({28, 28}, 10), .batch_size = 2, .steps = 50, .lr = 0.05});
}

TEST(TrainingOnAGpu, EveryOptimiserGoesTheProcessorsWay) {
    const auto layers = layers_from("conv 6 3 pad=1, groupnorm 2, relu, dropout 0.2, maxpool 2, dense 9, layernorm, gelu, dense outputs");
    const Problem problem = classes_of({2, 6, 7}, 3);
    for (const OptimizerSettings& optimizer :
         {OptimizerSettings{}, OptimizerSettings{.weight_decay = 0.01}, OptimizerSettings{.momentum = 0.9, .nesterov = true},
          OptimizerSettings{.momentum = 0.5, .clip_norm = 0.3},
          OptimizerSettings{.kind = OptimizerSettings::Kind::adam, .clip_norm = 0.5}}) {
        const bool adam = optimizer.kind == OptimizerSettings::Kind::adam;
        expect_the_same_way({.layers = layers, .problem = problem, .optimizer = optimizer, .lr = adam ? 0.003 : 0.05});
    }
}

TEST(TrainingOnAGpu, RegressionAndLargeBatchesToo) {
    expect_the_same_way({.layers = layers_from("dense 20, tanh, dense outputs"),
                         .problem = regression_of({7}),
                         .optimizer = {},
                         .batch_size = 100,
                         .batches = 1});
}

Shard some_shard(const Problem& problem, std::size_t rows) {
    Shard shard{.silo = "a",
                .problem = problem,
                .source = {},
                .path = {},
                .train = {},
                .validation = {},
                .test = {},
                .class_names = {},
                .feature_names = {},
                .fingerprint = {}};
    const Samples samples(problem, rows);
    shard.train.rows = rows;
    shard.train.features = problem.features();
    for (const float value : samples.x) shard.train.bytes.push_back(static_cast<std::uint8_t>(128 + 100 * value));
    shard.train.labels = samples.labels;
    return shard;
}

struct Local {
    std::vector<float> model;
    double loss = 0;
    std::uint64_t steps = 0;
};

Local train_a_silo(const Stream& stream) {
    const Problem problem = classes_of({6, 7}, 3);
    LocalConfig local = default_settings();
    local.batch_size = 4;
    local.epochs = 2;
    local.lr = 0.05;
    Trainer trainer(layers_from("conv 5 3, relu, dropout 0.3, maxpool 2, dense 8, relu, dense outputs"), problem, "auto", local, false, 7,
                    3, 4, stream);
    Silo silo(0, some_shard(problem, 18));
    silo.set_features({.per_feature = false, .scale = {1.0F / 255}, .offset = {-0.5F}});
    const auto global = test::some_parameters(trainer.network());
    Round round;
    round.number = 2;
    const Update update = silo.train(global, trainer, round);
    return {{update.local.begin(), update.local.end()}, *silo.last_loss(), update.steps};
}

TEST(TrainingOnAGpu, ASilosRoundHasTheSameBitsUnderEverySchedule) {
    const Stream& gpu = test::stream();
    const Local expected = train_a_silo(gpu);
    EXPECT_EQ(expected.steps, 10U);
    for (const std::uint64_t seed : {0, 2, 3}) {
        emulator::set_seed(seed);
        const Local again = train_a_silo(gpu);
        EXPECT_EQ(again.model, expected.model) << seed;
        EXPECT_EQ(again.loss, expected.loss) << seed;
    }
    const Local on_processor = train_a_silo(processor);
    EXPECT_EQ(on_processor.steps, expected.steps);
    EXPECT_NEAR(on_processor.loss, expected.loss, 1e-5);
    for (std::size_t i = 0; i < expected.model.size(); ++i) EXPECT_NEAR(on_processor.model[i], expected.model[i], 1e-5);
}

// The same steps, given to the network kernel by kernel.
std::vector<float> train_without_graphs(const Stream& stream, const LocalConfig& local, const Shard& shard,
                                        std::span<const LayerSpec> layers, const Affine& features) {
    Sequential network(layers, shard.problem, "auto", stream, local.batch_size);
    network.load(test::some_parameters(network));
    Optimizer optimizer = network.make_optimizer(local.optimizer_settings());
    const Loader loader(shard.train, features, stream);
    auto x = stream.allocate<float>(local.batch_size * shard.problem.features());
    auto labels = stream.allocate<std::int32_t>(local.batch_size);
    auto rows = stream.allocate<std::uint32_t>(local.batch_size);
    BatchOrder order = BatchOrder::of_epochs({.rows = shard.train.rows, .batch_size = local.batch_size}, 7, 0, 2, local.epochs);
    for (std::uint64_t step = 0; order.left() > 0; ++step) {
        const auto batch = order.next();
        stream.upload(batch, rows.span().first(batch.size()));
        loader.gather(rows.span().first(batch.size()), x.data(), labels.data(), nullptr);
        network.train_step({batch.size(), x.data(), labels.data(), nullptr}, optimizer, local.lr, Random(7, Purpose::dropout, 0, 2), step);
        stream.wait();
    }
    std::vector<float> parameters(network.layout().size());
    network.store(parameters);
    return parameters;
}

TEST(TrainingOnAGpu, ASilosStepsAreGraphsWithTheBitsOfTheirKernels) {
    const Stream stream(CudaStream(0), threads);
    const auto layers = layers_from("conv 5 3, relu, dropout 0.3, maxpool 2, dense 8, relu, dense outputs");
    LocalConfig local = default_settings();
    local.batch_size = 4;
    local.epochs = 3;
    local.lr = 0.05;
    const Affine features{.per_feature = false, .scale = {1.0F / 255}, .offset = {-0.5F}};
    Trainer trainer(layers, classes_of({6, 7}, 3), "auto", local, false, 7, 3, 4, stream);
    Silo silo(0, some_shard(classes_of({6, 7}, 3), 18));
    silo.set_features(features);
    const auto before = emulator::graph_calls();
    Round round;
    round.number = 2;
    const Update update = silo.train(test::some_parameters(trainer.network()), trainer, round);
    const auto after = emulator::graph_calls();
    EXPECT_EQ(update.steps, 15U);
    EXPECT_EQ(after.launched - before.launched, 14U);         // all but the first, in which buffers grow
    EXPECT_EQ(after.instantiated - before.instantiated, 2U);  // for 4 samples and for 2
    const auto expected = train_without_graphs(stream, local, silo.shard(), layers, features);
    EXPECT_EQ(std::vector<float>(update.local.begin(), update.local.end()), expected);
}

TEST(TrainingOnAGpu, LossesOfAFailedTrainingAreForgotten) {
    const Problem problem = classes_of({5}, 3);
    LocalConfig local = default_settings();
    local.batch_size = 4;
    Trainer trainer(layers_from("dense outputs"), problem, "auto", local, false, 7, 3, 4, test::stream());
    const auto global = test::some_parameters(trainer.network());
    Silo silo(0, some_shard(problem, 12));
    const double expected = silo.train(global, trainer, Round{}).numbers[0];
    Optimizer optimizer = trainer.network().make_optimizer({});
    const BatchHere left(test::stream(), Samples(problem, 4));
    trainer.network().train_step({4, left.x.data(), left.labels.data(), nullptr}, optimizer, 0.1, Random(1, Purpose::dropout), 0);
    EXPECT_EQ(silo.train(global, trainer, Round{}).numbers[0], expected);
}

TEST(TrainingOnAGpu, ADivergedTrainingNamesSiloAndStep) {
    const Problem problem = classes_of({5}, 3);
    LocalConfig local = default_settings();
    local.batch_size = 4;
    local.lr = 1e30;
    Trainer trainer(layers_from("dense 8, relu, dense outputs"), problem, "auto", local, false, 7, 3, 4, test::stream());
    Silo silo(0, some_shard(problem, 40));
    const auto global = test::some_parameters(trainer.network());
    try {
        (void)silo.train(global, trainer, Round{});
        FAIL() << "the divergence was not noticed";
    } catch (const RuntimeError& error) {
        EXPECT_NE(std::string(error.what()).find("silo \"a\""), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("diverged"), std::string::npos) << error.what();
    }
}

}  // namespace
}  // namespace silosum

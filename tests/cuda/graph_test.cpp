// Training steps as CUDA graphs: the bits of the same kernels one by one, a graph for each order of kernels, and what ends a recording.
#include <stdexcept>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "cuda_emulator.hpp"
#include "device/cuda.cuh"
#include "kernels/activation.hpp"
#include "model/model_list.hpp"
#include "support/model_case.hpp"
#include "support/test_stream.hpp"

namespace silosum {
namespace {

using test::classes_of;
using test::layers_from;
using test::regression_of;
using test::Samples;
using Floats = std::vector<float>;

/// Calls of graphs since it was made.
class Calls {
public:
    [[nodiscard]] std::size_t instantiated() const { return emulator::graph_calls().instantiated - before_.instantiated; }
    [[nodiscard]] std::size_t updated() const { return emulator::graph_calls().updated - before_.updated; }
    [[nodiscard]] std::size_t launched() const { return emulator::graph_calls().launched - before_.launched; }

private:
    emulator::GraphCalls before_ = emulator::graph_calls();
};

Buffer<float> copied(const Stream& stream, const Floats& values) {
    auto buffer = stream.allocate<float>(values.size());
    stream.upload<float>(values, buffer.span());
    stream.wait();
    return buffer;
}

Floats host_values(const Stream& stream, const Buffer<float>& values) {
    Floats host(values.size());
    stream.download<float>(values.span(), std::span(host));
    stream.wait();
    return host;
}

struct Case {
    std::string name;
    std::vector<LayerSpec> layers;
    Problem problem;
    OptimizerSettings optimizer = {};
};

struct Trained {
    std::vector<double> losses;
    Floats parameters;
    friend bool operator==(const Trained&, const Trained&) = default;
};

constexpr std::size_t batch_sizes[] = {4, 4, 3, 4, 4, 1, 4, 3};
constexpr std::size_t steps = std::size(batch_sizes);

/// Some steps with batches of different sizes, another learning rate and other dropout in each.
Trained train(const Case& settings, const Stream& stream, bool as_graphs) {
    const Problem& problem = settings.problem;
    Sequential model(settings.layers, problem, "auto", stream, 4);
    model.load(test::some_parameters(model));
    Optimizer optimizer = model.make_optimizer(settings.optimizer);
    const Samples samples(problem, 4 + steps);
    const auto x = copied(stream, samples.x), targets = copied(stream, samples.targets);
    auto labels = stream.allocate<std::int32_t>(samples.labels.size());
    stream.upload<std::int32_t>(samples.labels, labels.span());
    for (std::size_t step = 0; step < steps; ++step) {
        const Batch batch{.samples = batch_sizes[step],
                          .x = x.data() + step * problem.features(),
                          .labels = labels.empty() ? nullptr : labels.data() + step,
                          .targets = targets.data() + step};
        const auto take = [&] {
            model.train_step(batch, optimizer, 0.05 / static_cast<double>(1 + step), Random(2, Purpose::dropout, 1, 3), step);
        };
        if (as_graphs)
            stream.run_as_graph(take);
        else
            take();
    }
    Trained trained;
    for (const auto& sum : model.take_losses()) trained.losses.push_back(sum.loss / sum.weight);
    trained.parameters.resize(model.layout().size());
    model.store(trained.parameters);
    return trained;
}

const OptimizerSettings momentum{.momentum = 0.9, .weight_decay = 0.01, .clip_norm = 0.5};
const OptimizerSettings adam{.kind = OptimizerSettings::Kind::adam, .clip_norm = 0.5};

std::vector<Case> cases() {
    const auto mlp = layers_from("dense 20, relu, dropout 0.3, dense outputs");
    const auto cnn = layers_from("conv 6 3 pad=1, groupnorm 2, relu, dropout 0.2, maxpool 2, dense 9, layernorm, gelu, dense outputs");
    return {{"mlp_sgd", mlp, classes_of({7}, 3)},
            {"mlp_adam", mlp, classes_of({7}, 3), adam},
            {"regression", layers_from("dense 8, tanh, dense outputs"), regression_of({7}), momentum},
            {"cnn_sgd", cnn, classes_of({2, 6, 7}, 3)},
            {"cnn_momentum", cnn, classes_of({2, 6, 7}, 3), momentum},
            {"cnn_adam", cnn, classes_of({2, 6, 7}, 3), adam}};
}

TEST(GraphsOfSteps, TrainToTheSameBits) {
    for (const std::uint64_t seed : {0, 1}) {
        emulator::set_seed(seed);
        for (const Case& settings : cases()) {
            const Trained expected = train(settings, test::stream(), false);
            const Calls calls;
            EXPECT_EQ(train(settings, test::stream(), true), expected) << settings.name << ", seed " << seed;
            EXPECT_GE(calls.launched(), steps - 1) << settings.name;  // in the first one buffers grow
            EXPECT_LE(calls.instantiated(), 2U) << settings.name;
        }
    }
}

TEST(GraphsOfSteps, ChangeOnlyTheNodesWhoseArgumentsDiffer) {
    const Stream stream(CudaStream(0), test::stream().threads());
    const Floats zeros(50, -1.0F);
    const auto x = copied(stream, zeros);
    auto y = copied(stream, zeros), z = copied(stream, zeros);
    const Calls calls;
    for (const std::size_t n : {50U, 50U, 20U, 20U}) {
        stream.run_as_graph([&] {
            kernels::relu_forward(50, x.data(), y.data(), stream.cuda());
            kernels::relu_forward(n, x.data(), z.data(), stream.cuda());
        });
    }
    EXPECT_EQ(calls.instantiated(), 1U);
    EXPECT_EQ(calls.launched(), 4U);
    EXPECT_EQ(calls.updated(), 1U);
    stream.wait();
}

TEST(GraphsOfSteps, AnotherKernelWithTheSameArgumentsIsAnotherGraph) {
    const Stream stream(CudaStream(0), test::stream().threads());
    const Floats values = {1.0F, -2.0F};
    const auto x = copied(stream, values);
    auto y = copied(stream, values);
    const Calls calls;
    stream.run_as_graph([&] { kernels::gelu_forward(2, x.data(), y.data(), stream.cuda()); });
    stream.run_as_graph([&] { kernels::relu_forward(2, x.data(), y.data(), stream.cuda()); });
    EXPECT_EQ(calls.instantiated(), 2U);
    EXPECT_EQ(host_values(stream, y), (Floats{1.0F, 0.0F}));
}

TEST(GraphsOfSteps, AreKeptForOrdersOfKernelsThatComeAgainAndNotForAll) {
    const Stream stream(CudaStream(0), test::stream().threads());
    auto x = copied(stream, Floats(5, 1.0F));
    const auto take = [&](std::size_t kernels_in_a_row) {
        stream.run_as_graph([&] {
            for (std::size_t i = 0; i < kernels_in_a_row; ++i) kernels::relu_forward(5, x.data(), x.data(), stream.cuda());
        });
    };
    const Calls calls;
    for (std::size_t round = 0; round < 3; ++round) {
        for (const std::size_t kernels_in_a_row : {1U, 2U, 3U}) take(kernels_in_a_row);
    }
    EXPECT_EQ(calls.instantiated(), 3U);
    for (std::size_t kernels_in_a_row = 4; kernels_in_a_row < 11; ++kernels_in_a_row) take(kernels_in_a_row);
    take(3);  // the last used are kept
    EXPECT_EQ(calls.instantiated(), 10U);
    take(1);
    EXPECT_EQ(calls.instantiated(), 11U);
    take(0);  // nothing is no graph
    EXPECT_EQ(calls.launched(), 18U);
    stream.wait();
}

TEST(GraphsOfSteps, NothingRunsOfWorkThatThrows) {
    const Stream stream(CudaStream(0), test::stream().threads());
    const Floats before = {-1.0F, -2.0F};
    auto x = copied(stream, before);
    const auto work = [&] {
        kernels::relu_forward(2, x.data(), x.data(), stream.cuda());
        throw std::logic_error("in the midst");
    };
    EXPECT_THROW(stream.run_as_graph(work), std::logic_error);
    EXPECT_EQ(host_values(stream, x), before);
    stream.run_as_graph([&] { kernels::relu_forward(1, x.data(), x.data(), stream.cuda()); });
    EXPECT_EQ(host_values(stream, x), (Floats{0.0F, -2.0F}));
}

__global__ void nothing() {}

void launch_what_no_gpu_takes(const Stream& stream) {
    cuda::launch(nothing, {1, 2048}, stream.cuda());
}

TEST(GraphsOfSteps, ALaunchThatFailsIsToldAtTheNextWait) {
    const Stream stream(CudaStream(0), test::stream().threads());
    auto x = copied(stream, {-1.0F});
    bool has_gone_on = false;
    const auto work = [&] {
        launch_what_no_gpu_takes(stream);
        stream.wait();
        has_gone_on = true;
    };
    EXPECT_THROW(stream.run_as_graph(work), RuntimeError);
    EXPECT_FALSE(has_gone_on);
    stream.run_as_graph([&] { kernels::relu_forward(1, x.data(), x.data(), stream.cuda()); });
    EXPECT_EQ(host_values(stream, x), (Floats{0.0F}));
}

TEST(GraphsOfSteps, ALaunchThatFailsIsToldAtTheEnd) {
    const Stream stream(CudaStream(0), test::stream().threads());
    auto x = copied(stream, {-1.0F});
    auto y = copied(stream, {-1.0F});
    EXPECT_THROW(stream.run_as_graph([&] { launch_what_no_gpu_takes(stream); }), RuntimeError);
    const auto lets_memory_go = [&] {
        launch_what_no_gpu_takes(stream);
        y = {};
    };
    EXPECT_THROW(stream.run_as_graph(lets_memory_go), RuntimeError);
    stream.run_as_graph([&] { kernels::relu_forward(1, x.data(), x.data(), stream.cuda()); });
    EXPECT_EQ(host_values(stream, x), (Floats{0.0F}));
}

TEST(GraphsOfSteps, DoNotContainGraphs) {
    const Stream stream(CudaStream(0), test::stream().threads());
    EXPECT_THROW(stream.run_as_graph([&] { stream.run_as_graph([] {}); }), RuntimeError);
}

TEST(GraphsOfSteps, MemoryThatGoesWaitsForWhatWasRecorded) {
    const Stream stream(CudaStream(0), test::stream().threads());
    auto y = copied(stream, Floats(3, 0.0F));
    auto x = copied(stream, {1.0F, -2.0F, 3.0F});
    stream.run_as_graph([&] {
        kernels::relu_forward(3, x.data(), y.data(), stream.cuda());
        x = {};
        x = stream.allocate<float>(3);  // perhaps the same memory again
        kernels::tanh_forward(1, y.data(), y.data(), stream.cuda());
    });
    EXPECT_EQ(host_values(stream, y).back(), 3.0F);
}

TEST(GraphsOfSteps, WaitsAndReadsSeeWhatWasRecordedBefore) {
    const Stream stream(CudaStream(0), test::stream().threads());
    auto x = copied(stream, {-1.0F, 2.0F});
    const auto work = [&] {
        kernels::relu_forward(2, x.data(), x.data(), stream.cuda());
        EXPECT_EQ(host_values(stream, x), (Floats{0.0F, 2.0F}));
    };
    const Calls calls;
    stream.run_as_graph(work);
    EXPECT_EQ(calls.launched(), 0U);
}

}  // namespace
}  // namespace silosum

// Speed of one training step (forward, backward, SGD) on one core, by CPU time, as a line of JSON. scripts/bench_step.py sets it
// beside PyTorch.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/process.hpp"
#include "base/random.hpp"
#include "kernels/isa.hpp"
#include "model/model_list.hpp"
#include "model/sequential.hpp"
#include "tests/benchmarks/fma_peak.hpp"

namespace silosum {

namespace {

/// Multiply-adds of one sample: forward, weight gradients, input gradients but for the first layer.
const std::map<std::string, double> multiply_adds{
    {"softmax", 2.0 * 784 * 10},
    {"2nn", 2.0 * 784 * 200 + 3.0 * (200 * 200 + 200 * 10)},
    {"cnn", 2.0 * 28 * 28 * 25 * 32 + 3.0 * (14 * 14 * 25 * 32 * 64 + 3136 * 512 + 512 * 10)},
};

struct Settings {
    std::string model = "2nn";
    std::size_t batch = 10;
    double seconds = 0.5;
};

Settings parse(const std::vector<std::string>& arguments) {
    Settings settings;
    for (std::size_t i = 0; i + 1 < arguments.size(); i += 2) {
        if (arguments[i] == "--model") {
            settings.model = arguments[i + 1];
        } else if (arguments[i] == "--batch") {
            settings.batch = std::stoul(arguments[i + 1]);
        } else if (arguments[i] == "--seconds") {
            settings.seconds = std::stod(arguments[i + 1]);
        } else {
            throw UsageError("usage: step_bench [--model softmax|2nn|cnn] [--batch N] [--seconds S]");
        }
    }
    require(multiply_adds.contains(settings.model), "unknown model \"{}\"; known: softmax, 2nn, cnn", settings.model);
    return settings;
}

void run(const Settings& settings) {
    const Problem problem{.task = Task::classification, .classes = 10, .feature_shape = {28, 28}};
    const Threads threads(1);
    Sequential network(model_layers(settings.model, {}), problem, "auto", threads, settings.batch);
    Buffer<float> flat(network.layout().size());
    network.initialise(1, InitialValues::fan_in, flat.span());
    network.load(flat.span());
    Optimizer optimizer = network.make_optimizer({});

    // Several batches in turn, as in training: the same one again would stay in the caches.
    const std::size_t rows = 600 / settings.batch * settings.batch;
    const Random random(1, Purpose::split);
    Buffer<float> images(rows * 784);
    std::vector<std::int32_t> labels(rows);
    for (std::size_t i = 0; i < images.size(); ++i) images[i] = static_cast<float>(random.uniform(i));
    for (std::size_t i = 0; i < rows; ++i) labels[i] = static_cast<std::int32_t>(random.below(i, 10));

    const Random dropout(1, Purpose::dropout);
    std::uint64_t steps = 0;
    double loss = 0;
    const auto step = [&] {
        const std::size_t first = steps * settings.batch % rows;
        const Batch batch{.samples = settings.batch, .x = &images[first * 784], .labels = &labels[first], .targets = nullptr};
        network.train_step(batch, optimizer, 0.01, dropout, steps++);
        loss += network.take_losses().front().loss;
    };
    const auto cpu_of_steps = [&](std::uint64_t count) {
        const double begin = cpu_seconds();
        for (std::uint64_t i = 0; i < count; ++i) step();
        return cpu_seconds() - begin;
    };
    cpu_of_steps(5);  // warm up
    // Looking at the clock is a system call: steps between two looks take a millisecond or more.
    const std::uint64_t chunk = 1 + static_cast<std::uint64_t>(1e-3 * 20 / (cpu_of_steps(20) + 1e-9));
    const double peak_before = measure_fma_peak(settings.seconds / 10);
    const std::uint64_t first_step = steps;
    double used = 0;
    do {
        used += cpu_of_steps(chunk);
    } while (used < settings.seconds);
    const double peak_after = measure_fma_peak(settings.seconds / 10);

    const double samples_per_s = static_cast<double>((steps - first_step) * settings.batch) / used;
    fmt::print(
        "{{\"model\": \"{}\", \"parameters\": {}, \"batch\": {}, \"isa\": \"{}\", \"samples_per_s\": {:.1f}, \"gflops\": {:.2f}, "
        "\"peak_gflops\": {:.2f}, \"mean_loss\": {:.4f}}}\n",
        settings.model, network.layout().size(), settings.batch, kernels::to_string(kernels::isa_in_use()), samples_per_s,
        samples_per_s * 2 * multiply_adds.at(settings.model) / 1e9, (peak_before + peak_after) / 2 / 1e9,
        loss / static_cast<double>(steps * settings.batch));
}

}  // namespace

}  // namespace silosum

int main(int argc, char** argv) {
    try {
        silosum::run(silosum::parse({argv + 1, argv + argc}));
        return 0;
    } catch (const std::exception& error) {
        fmt::print(stderr, "step_bench: {}\n", error.what());
        return 2;
    }
}

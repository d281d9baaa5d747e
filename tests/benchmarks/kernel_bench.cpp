// Speed of the dense and convolution kernels at the shapes of the models that ship, for each instruction set.
// kernel_bench [rounds [part of a name]]: CPU time of one thread; every round runs all cases once, and the median over rounds is
// printed, so that other work on the machine touches all rows alike.
#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/buffer.hpp"
#include "kernels/conv2d.hpp"
#include "kernels/dense.hpp"
#include "kernels/isa.hpp"

namespace {

using namespace silosum;
using namespace silosum::kernels;

struct Case {
    std::string name;
    double flops;
    std::size_t samples;
    std::function<void()> run;
    std::vector<std::vector<double>> seconds = {};  // [instruction set][round]
};

double cpu_seconds() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Seconds of one call, from as many calls as fill some milliseconds.
double measure(const std::function<void()>& run) {
    run();
    for (std::size_t calls = 1;; calls *= 4) {
        const double start = cpu_seconds();
        for (std::size_t i = 0; i < calls; ++i) run();
        const double seconds = cpu_seconds() - start;
        if (seconds > 0.004) return seconds / static_cast<double>(calls);
    }
}

std::shared_ptr<Buffer<float>> values(std::size_t size, float scale = 1) {
    auto buffer = std::make_shared<Buffer<float>>(size);
    unsigned state = 1;
    for (float& value : *buffer) {
        state = state * 1664525U + 1013904223U;
        value = scale * (static_cast<float>(state >> 8) / static_cast<float>(1U << 23) - 1);
    }
    return buffer;
}

const Threads one_thread(1);

/// Forward, backward over the input where there is a layer below, and the SGD step, each by itself and together.
void add_dense(std::vector<Case>& cases, std::size_t in, std::size_t out, std::size_t batch, bool first) {
    const DenseShape shape{in, out};
    const auto x = values(batch * in), dy = values(batch * out, 0.01F), w = values(shape.packed_size(), 0.1F), bias = values(out);
    const auto y = values(batch * out), dx = values(batch * in);
    const auto forward = [=] { dense_forward(shape, batch, x->data(), w->data(), bias->data(), y->data(), true, one_thread); };
    const auto input = [=] { dense_backward_input(shape, batch, dy->data(), w->data(), x->data(), dx->data(), one_thread); };
    // The sign alternates so that the weights stay where they are.
    auto weights = [=, scale = 1e-3F]() mutable {
        scale = -scale;
        dense_backward_weights(shape, batch, x->data(), dy->data(), scale, 1, w->data(), 1, bias->data(), one_thread);
    };
    const double flops = 2.0 * static_cast<double>(batch * in * out);
    const std::string name = fmt::format("dense {}x{} batch {}", in, out, batch);
    cases.push_back({name + " forward", flops, batch, forward});
    if (!first) cases.push_back({name + " backward input", flops, batch, input});
    cases.push_back({name + " weights+sgd", flops, batch, weights});
    cases.push_back({name + " all", (first ? 2 : 3) * flops, batch, [=]() mutable {
                         forward();
                         if (!first) input();
                         weights();
                     }});
}

void add_conv(std::vector<Case>& cases, const ConvShape& shape, std::size_t batch, bool first) {
    const auto x = values(batch * shape.padded_size()), dy = values(batch * shape.out_size(), 0.01F), w = values(shape.packed_size(), 0.1F);
    const auto bias = values(shape.out_channels), y = values(batch * shape.out_size()), dx = values(batch * shape.in_size());
    const auto flipped = values(shape.flipped_size()), scratch = values(shape.scratch_size());
    const double flops = 2.0 * static_cast<double>(batch * shape.out_size() * shape.taps());
    const std::string name = fmt::format("conv {}->{} {}x{} at {}x{} stride {} batch {}", shape.in_channels, shape.out_channels,
                                         shape.kernel_height, shape.kernel_width, shape.height, shape.width, shape.stride, batch);
    cases.push_back({name + " forward", flops, batch,
                     [=] { conv2d_forward(shape, batch, x->data(), w->data(), bias->data(), y->data(), true, one_thread); }});
    if (!first) {
        cases.push_back({name + " backward input", flops, batch, [=] {
                             conv2d_flip(shape, w->data(), flipped->data(), one_thread);
                             conv2d_backward_input(shape, batch, dy->data(), flipped->data(), nullptr, scratch->data(), dx->data(),
                                                   one_thread);
                         }});
    }
    cases.push_back({name + " weights+sgd", flops, batch, [=, scale = 1e-3F]() mutable {
                         scale = -scale;
                         conv2d_backward_weights(shape, batch, x->data(), dy->data(), scale, 1, w->data(), 1, bias->data(), one_thread);
                     }});
}

/// 784-200-200-10, the whole step but for the loss.
void add_two_layers(std::vector<Case>& cases, std::size_t batch) {
    struct Layer {
        DenseShape shape;
        std::shared_ptr<Buffer<float>> w, bias, y, dy;
    };
    auto layers = std::make_shared<std::vector<Layer>>();
    double flops = 0;
    for (const auto& [in, out] : {std::pair<std::size_t, std::size_t>{784, 200}, {200, 200}, {200, 10}}) {
        const DenseShape shape{in, out};
        layers->push_back({shape, values(shape.packed_size(), 0.05F), values(out), values(batch * out), values(batch * out, 0.01F)});
        flops += (in == 784 ? 4.0 : 6.0) * static_cast<double>(batch * in * out);
    }
    const auto x = values(batch * 784);
    cases.push_back({fmt::format("784-200-200-10 batch {} step", batch), flops, batch, [=, scale = 1e-3F]() mutable {
                         scale = -scale;
                         std::vector<Layer>& l = *layers;
                         for (std::size_t i = 0; i < 3; ++i) {
                             const float* input = i == 0 ? x->data() : l[i - 1].y->data();
                             dense_forward(l[i].shape, batch, input, l[i].w->data(), l[i].bias->data(), l[i].y->data(), i < 2, one_thread);
                         }
                         for (std::size_t i = 3; i-- > 0;) {
                             const float* input = i == 0 ? x->data() : l[i - 1].y->data();
                             if (i > 0) {
                                 dense_backward_input(l[i].shape, batch, l[i].dy->data(), l[i].w->data(), input, l[i - 1].dy->data(),
                                                      one_thread);
                             }
                             dense_backward_weights(l[i].shape, batch, input, l[i].dy->data(), scale, 1, l[i].w->data(), 1,
                                                    l[i].bias->data(), one_thread);
                         }
                     }});
}

std::vector<Case> all_cases() {
    std::vector<Case> cases;
    for (const std::size_t batch : {10, 32, 100}) {
        add_dense(cases, 784, 10, batch, true);
        add_two_layers(cases, batch);
        add_dense(cases, 784, 200, batch, true);
        add_dense(cases, 200, 200, batch, false);
        add_dense(cases, 200, 10, batch, false);
        add_dense(cases, 3136, 512, batch, false);
    }
    add_dense(cases, 13, 1, 4, true);
    add_dense(cases, 4, 3, 16, true);
    add_dense(cases, 400, 120, 10, false);
    add_conv(cases, {.in_channels = 1, .height = 28, .width = 28, .out_channels = 32, .kernel_height = 5, .kernel_width = 5, .padding = 2},
             10, true);
    add_conv(cases, {.in_channels = 32, .height = 14, .width = 14, .out_channels = 64, .kernel_height = 5, .kernel_width = 5, .padding = 2},
             10, false);
    add_conv(cases, {.in_channels = 64, .height = 14, .width = 14, .out_channels = 64, .kernel_height = 3, .kernel_width = 3, .padding = 1},
             10, false);
    add_conv(cases, {.in_channels = 1, .height = 28, .width = 28, .out_channels = 6, .kernel_height = 5, .kernel_width = 5}, 10, true);
    add_conv(cases, {.in_channels = 6, .height = 12, .width = 12, .out_channels = 16, .kernel_height = 5, .kernel_width = 5}, 10, false);
    add_conv(cases, {.in_channels = 3, .height = 32, .width = 32, .out_channels = 32, .kernel_height = 3, .kernel_width = 3, .padding = 1},
             10, true);
    return cases;
}

}  // namespace

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 5;
    const std::string part = argc > 2 ? argv[2] : "";
    std::vector<Case> cases = all_cases();
    std::erase_if(cases, [&](const Case& c) { return c.name.find(part) == std::string::npos; });
    const std::vector<Isa> isas = usable_isas();
    for (Case& c : cases) c.seconds.resize(isas.size());
    for (int round = 0; round < rounds; ++round) {
        for (Case& c : cases) {
            for (std::size_t i = 0; i < isas.size(); ++i) {
                use_isa(isas[i]);
                c.seconds[i].push_back(measure(c.run));
            }
        }
    }
    fmt::print("{:58}", "GFLOP/s, microseconds, samples/s");
    for (const Isa isa : isas) fmt::print(" | {:^30}", to_string(isa));
    fmt::print("\n");
    for (Case& c : cases) {
        fmt::print("{:58}", c.name);
        for (auto& seconds : c.seconds) {
            std::nth_element(seconds.begin(), seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2), seconds.end());
            const double median = seconds[seconds.size() / 2];
            fmt::print(" | {:6.1f} {:9.2f} {:13.0f}", c.flops / median * 1e-9, median * 1e6, static_cast<double>(c.samples) / median);
        }
        fmt::print("\n");
    }
    return 0;
}

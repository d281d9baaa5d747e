// How a list of layers runs: which steps there are, what each may overwrite, and where everything lies in one block of memory.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "device/stream.hpp"
#include "model/layer.hpp"

namespace silosum {

/// One pass over the samples: a layer, perhaps with the relu behind it. Offsets count floats.
struct PlannedStep {
    Layer* layer = nullptr;
    std::size_t parameters = 0;  // offset in the packed parameters
    std::size_t state = 0;       // offsets in the memory
    std::size_t output = 0;
    std::size_t derived = 0;
    bool output_by_group = false;  // the output buffer holds one group and is used again by the next
    bool input_is_relu = false;    // the step before ends with a relu whose derivative this step's backward pass applies
    std::size_t dropout = 0;       // number among the dropout layers
};

/// The leading image layers run in small groups of samples, forward and backward, so that a group's activations stay in the second-level
/// cache; the layers from `split` on run on the whole batch. On a GPU, or with more threads, the group is the batch. The bits are the same
/// as without groups: samples are added in order.
struct ExecutionPlan {
    std::vector<PlannedStep> steps;
    std::size_t split = 0;
    std::size_t group = 0;          // samples
    std::size_t capacity = 0;       // samples of the largest batch
    std::size_t first_trained = 0;  // first step with parameters: the backward pass ends there
    std::size_t dropout_layers = 0;
    std::size_t packed_size = 0;      // floats of all packed parameters
    std::size_t gradient_prefix = 0;  // the same up to the last layer whose step cannot be part of its backward pass

    // Offsets in the memory.
    std::array<std::size_t, 2> head_gradients{};   // of the whole batch; the first takes the loss's gradient
    std::array<std::size_t, 2> group_gradients{};  // of one group
    std::size_t scratch = 0;
    std::size_t memory_size = 0;

    std::size_t gpu_workspace = 0;  // floats that kernels of a GPU take of its stream

    [[nodiscard]] bool is_trained(std::size_t step) const { return step >= first_trained; }
    [[nodiscard]] bool wants_input_gradient(std::size_t step) const { return step > first_trained; }
};

/// Samples whose losses are added in one go. Fixed, so that the sum's bits do not depend on the batch size.
inline constexpr std::size_t logits_block = 256;

/// What the plan depends on of where the model runs.
struct RunsOn {
    bool gpu = false;
    std::size_t threads = 1;
    RunsOn(const Stream& stream) : gpu(stream.is_cuda()), threads(stream.threads().count()) {}  // NOLINT(google-explicit-constructor)
    RunsOn(bool on_gpu, std::size_t thread_count) : gpu(on_gpu), threads(thread_count) {}
};

/// Fuses relus into the layers before them (once; planning again for another capacity changes nothing there) and lays out the memory.
[[nodiscard]] ExecutionPlan plan_execution(std::span<const std::unique_ptr<Layer>> layers, const RunsOn& place, std::size_t capacity);

}  // namespace silosum

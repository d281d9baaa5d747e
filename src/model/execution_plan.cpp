#include "model/execution_plan.hpp"

#include <algorithm>

#if defined(__linux__)
#include <unistd.h>
#endif

namespace silosum {

namespace {

/// Bytes that a group may fill: half of the second-level cache, as the weights want room too.
std::size_t group_bytes() {
    long cache = 0;
#if defined(__linux__) && defined(_SC_LEVEL2_CACHE_SIZE)
    cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    return cache > 0 ? static_cast<std::size_t>(cache) / 2 : std::size_t{256} * 1024;
}

std::vector<PlannedStep> steps_of(std::span<const std::unique_ptr<Layer>> layers, ExecutionPlan& plan) {
    std::vector<Layer*> passes;
    std::vector<PlannedStep> steps;
    std::size_t parameters = 0;
    for (const auto& layer : layers) {
        if (layer->is_only_a_shape()) continue;
        passes.push_back(layer.get());
    }
    for (std::size_t i = 0; i < passes.size(); ++i) {
        PlannedStep step{.layer = passes[i], .parameters = parameters};
        parameters += rounded_up(passes[i]->packed_size());
        step.input_is_relu = i > 0 && passes[i - 1]->is_relu() && steps.back().layer != passes[i - 1];
        if (passes[i]->is_dropout()) step.dropout = plan.dropout_layers++;
        steps.push_back(step);
        // The last relu stays: its derivative would have no step to apply it.
        const bool relu_follows = i + 2 < passes.size() && passes[i + 1]->is_relu();
        if (relu_follows && passes[i]->fuse_relu()) ++i;
    }
    plan.packed_size = parameters;
    return steps;
}

/// True where the backward pass looks at the output of step i.
bool output_is_needed(const std::vector<PlannedStep>& steps, std::size_t i) {
    const PlannedStep& step = steps[i];
    if (step.layer->backward_needs_output()) return true;
    if (step.input_is_relu && step.layer->relu_mask() == ReluMask::from_output) return true;
    if (i + 1 == steps.size()) return false;
    const PlannedStep& next = steps[i + 1];
    return next.layer->backward_needs_input() || (next.input_is_relu && next.layer->relu_mask() != ReluMask::from_output);
}

std::size_t split_of(const std::vector<PlannedStep>& steps) {
    const auto is_vector = [](const PlannedStep& step) { return !step.layer->in().is_image; };
    return static_cast<std::size_t>(std::find_if(steps.begin(), steps.end(), is_vector) - steps.begin());
}

/// Hands out the memory piece by piece, each on its own cache lines.
class Memory {
public:
    std::size_t take(std::size_t floats) {
        const std::size_t at = size_;
        size_ += rounded_up(floats);
        return at;
    }
    [[nodiscard]] std::size_t size() const { return size_; }

private:
    std::size_t size_ = 0;
};

struct OutputBuffer {
    std::size_t floats = 0;  // one sample
    bool for_all = false;    // samples of the batch, rather than of a group
};

/// Which buffer each step writes to: its own, or its input's where nobody needs that any more.
std::vector<std::size_t> assign_outputs(const ExecutionPlan& plan, std::vector<OutputBuffer>& buffers) {
    std::vector<std::size_t> of_step;
    for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        const Layer& layer = *plan.steps[i].layer;
        const bool in_place = i > 0 && layer.runs_in_place() && !output_is_needed(plan.steps, i - 1);
        if (!in_place) buffers.push_back({.floats = layer.out().size()});
        of_step.push_back(buffers.size() - 1);
        const bool for_all = i + 1 >= plan.split || output_is_needed(plan.steps, i);
        buffers.back().for_all = buffers.back().for_all || for_all;
    }
    return of_step;
}

std::size_t samples_in_group(const ExecutionPlan& plan, const RunsOn& place) {
    if (plan.split == 0 || place.gpu || place.threads > 1) return plan.capacity;
    std::size_t floats = 0;
    std::size_t largest = 0;
    for (std::size_t i = 0; i < plan.split; ++i) {
        const Layer& layer = *plan.steps[i].layer;
        floats += layer.out().size() + layer.state_size();
        largest = std::max(largest, layer.out().size());
    }
    const std::size_t bytes = (floats + 2 * largest) * sizeof(float);
    return std::clamp<std::size_t>(group_bytes() / bytes, 1, plan.capacity);
}

}  // namespace

ExecutionPlan plan_execution(std::span<const std::unique_ptr<Layer>> layers, const RunsOn& place, std::size_t capacity) {
    ExecutionPlan plan;
    plan.capacity = std::max<std::size_t>(1, capacity);
    plan.steps = steps_of(layers, plan);
    plan.split = split_of(plan.steps);
    plan.group = samples_in_group(plan, place);
    plan.first_trained = plan.steps.size();
    for (std::size_t i = plan.steps.size(); i-- > 0;) {
        if (plan.steps[i].layer->packed_size() > 0) plan.first_trained = i;
    }
    std::vector<OutputBuffer> buffers;
    const auto buffer_of = assign_outputs(plan, buffers);

    Memory memory;
    std::vector<std::size_t> buffer_at;
    buffer_at.reserve(buffers.size());
    for (const auto& buffer : buffers) buffer_at.push_back(memory.take(buffer.floats * (buffer.for_all ? plan.capacity : plan.group)));
    std::size_t head_size = layers.back()->out().size();
    std::size_t group_size = 0;
    std::size_t scratch = 0;
    for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        PlannedStep& step = plan.steps[i];
        const Layer& layer = *step.layer;
        step.output = buffer_at[buffer_of[i]];
        step.output_by_group = !buffers[buffer_of[i]].for_all;
        step.state = memory.take(layer.state_size() * plan.capacity);
        if (plan.wants_input_gradient(i)) {
            step.derived = memory.take(layer.derived_size());
            auto& largest = i < plan.split ? group_size : head_size;
            largest = std::max(largest, layer.in().size());
        }
        if (place.gpu) {
            plan.gpu_workspace = std::max(plan.gpu_workspace, layer.gpu_workspace(plan.capacity));
        } else {
            scratch = std::max(scratch, layer.scratch_size(place.threads));
        }
        if (layer.packed_size() > 0 && !layer.steps_in_place()) plan.gradient_prefix = step.parameters + rounded_up(layer.packed_size());
    }
    for (auto& offset : plan.head_gradients) offset = memory.take(head_size * plan.capacity);
    for (auto& offset : plan.group_gradients) offset = memory.take(group_size * plan.group);
    plan.scratch = memory.take(scratch);
    plan.memory_size = memory.size();
    return plan;
}

}  // namespace silosum

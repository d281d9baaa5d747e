#include "model/sequential.hpp"

#include <algorithm>
#include <cassert>

#include "base/error.hpp"
#include "kernels/activation.hpp"

namespace silosum {

namespace {

/// Each (step, dropout layer) has 2^34 words of the silo's dropout stream of the round; more than a batch in memory has values.
constexpr unsigned dropout_bits = 34;

Layout layout_of(std::span<const std::unique_ptr<Layer>> layers) {
    Layout layout;
    for (std::size_t i = 0; i < layers.size(); ++i) {
        for (const auto& tensor : layers[i]->tensors()) layout.add(fmt::format("{}.{}", i, tensor.name), tensor.shape);
    }
    return layout;
}

std::size_t flat_size(const Layer& layer) {
    std::size_t size = 0;
    for (const auto& tensor : layer.tensors()) size += Tensor{.name = {}, .shape = tensor.shape}.size();
    return size;
}

// Whether dense layers add each sample's slope to their weights at once: no second pass over them, and no memory for a gradient. Every
// addition is rounded to the weight, so of many samples the small slopes would be lost: those are summed apart first. Weight decay needs
// a gradient too, as 1 - lr * weight_decay has few digits left, or none.
bool steps_in_place(const Optimizer& optimizer, std::size_t samples) {
    constexpr std::size_t most_samples = 64;
    return optimizer.is_plain_sgd() && optimizer.settings().weight_decay == 0 && samples <= most_samples;
}

std::size_t size_of_gradient(const ExecutionPlan& plan, bool in_place) {
    return in_place ? plan.gradient_prefix : plan.packed_size;
}

}  // namespace

Sequential::Sequential(std::span<const LayerSpec> layers, const Problem& problem, const std::string& loss, const Threads& threads,
                       std::size_t batch_size_hint)
    : problem_(problem),
      loss_(loss_for(problem, loss)),
      threads_(&threads),
      layers_(build_layers(layers, problem)),
      layout_(layout_of(layers_)),
      plan_(plan_execution(layers_, threads.count(), batch_size_hint)),
      parameters_(plan_.packed_size),
      memory_(plan_.memory_size) {}

void Sequential::initialise(std::uint64_t seed, InitialValues scheme, std::span<float> flat) const {
    assert(flat.size() == layout_.size());
    draw_initial_values(layers_, seed, scheme, flat);
}

void Sequential::load(std::span<const float> flat) {
    pack(flat, parameters_.span());
}

void Sequential::store(std::span<float> flat) const {
    unpack(parameters_.span(), flat);
}

void Sequential::set_class_weights(std::vector<float> weights) {
    require(weights.empty() || (problem_.task != Task::regression && weights.size() == problem_.classes),
            "{} class weights do not fit {}: give one for each class", weights.size(), to_string(problem_));
    class_weights_ = std::move(weights);
}

kernels::LossSum Sequential::train_step(const Batch& batch, Optimizer& optimizer, double lr, const Random& dropout,
                                        std::uint64_t step_in_round, const BatchPart& part) {
    make_room(batch.samples);
    const bool in_place = part.others == nullptr && steps_in_place(optimizer, batch.samples);
    make_room_for_gradient(size_of_gradient(plan_, in_place));
    begin_training(dropout, step_in_round, part.first);
    if (!in_place) {
        auto sum = run_both(batch, {}, part);
        const auto gradient = gradient_.span().first(plan_.packed_size);
        if (part.others != nullptr) sum = part.others->add_up(sum, gradient);
        optimizer.step(lr, parameters_.span(), gradient, *threads_);
        return sum;
    }
    const auto sum = run_both(batch, {.steps_in_place = true, .scale = static_cast<float>(-lr), .decay = 1});
    for (const auto& step : plan_.steps) {
        const std::size_t size = step.layer->packed_size();
        if (size == 0 || step.layer->steps_in_place()) continue;
        optimizer.plain_step(lr, parameters_.span().subspan(step.parameters, size), gradient_.span().subspan(step.parameters, size),
                             *threads_);
    }
    return sum;
}

double Sequential::gradient(const Batch& batch, std::span<float> flat_gradient, const Random& dropout, std::uint64_t step_in_round) {
    make_room(batch.samples);
    make_room_for_gradient(plan_.packed_size);
    begin_training(dropout, step_in_round);
    const auto sum = run_both(batch, {});
    unpack(gradient_.span(), flat_gradient);
    return sum.loss / sum.weight;
}

void Sequential::predict(std::size_t samples, const float* x, float* outputs) {
    training_ = false;
    const std::size_t features = problem_.features();
    for (std::size_t first = 0; first < samples; first += plan_.capacity) {
        const std::size_t piece = std::min(plan_.capacity, samples - first);
        run_forward(piece, x + first * features);
        std::copy_n(output_of(plan_.steps.size() - 1, 0), piece * problem_.outputs(), outputs + first * problem_.outputs());
    }
}

kernels::LossSum Sequential::loss(const Batch& batch) {
    kernels::LossSum sum;
    const std::size_t outputs = problem_.outputs();
    float* logits = memory_.data() + plan_.logits;
    for (std::size_t first = 0; first < batch.samples; first += logits_block) {
        const Batch block{.samples = std::min(logits_block, batch.samples - first),
                          .x = batch.x + first * problem_.features(),
                          .labels = batch.labels == nullptr ? nullptr : batch.labels + first,
                          .targets = batch.targets == nullptr ? nullptr : batch.targets + first * outputs};
        predict(block.samples, block.x, logits);
        const auto part = measure_loss(loss_, block, outputs, logits, class_weights_, 0, nullptr);
        sum.loss += part.loss;
        sum.weight += part.weight;
        sum.correct += part.correct;
    }
    return sum;
}

void Sequential::store_state(const Optimizer& optimizer, std::size_t i, std::span<float> flat) const {
    unpack(optimizer.vector(i), flat);
}

void Sequential::load_state(Optimizer& optimizer, std::size_t i, std::span<const float> flat) const {
    pack(flat, optimizer.vector(i));
}

std::size_t Sequential::memory_bytes() const {
    return (parameters_.size() + gradient_.size() + memory_.size()) * sizeof(float);
}

std::size_t Sequential::estimate_memory_bytes(std::span<const LayerSpec> layers, const Problem& problem, std::size_t threads,
                                              std::size_t batch_size, const OptimizerSettings& settings, bool shares_batches) {
    const auto built = build_layers(layers, problem);
    const auto plan = plan_execution(built, threads, batch_size);
    const std::size_t gradient = size_of_gradient(plan, !shares_batches && steps_in_place(Optimizer(settings, 0), batch_size));
    return (plan.packed_size * (1 + settings.state_vectors()) + gradient + plan.memory_size) * sizeof(float);
}

void Sequential::make_room(std::size_t samples) {
    if (samples <= plan_.capacity) return;
    plan_ = plan_execution(layers_, threads_->count(), samples);
    memory_ = Buffer<float>();  // freed before the larger one is made
    memory_ = Buffer<float>(plan_.memory_size);
}

void Sequential::make_room_for_gradient(std::size_t floats) {
    if (gradient_.size() < floats) gradient_ = Buffer<float>(floats);
}

void Sequential::begin_training(const Random& dropout, std::uint64_t step_in_round, std::size_t first_of_part) {
    training_ = true;
    first_of_part_ = first_of_part;
    dropout_ = &dropout;
    step_in_round_ = step_in_round;
}

float* Sequential::output_of(std::size_t step, std::size_t first_sample) {
    const PlannedStep& planned = plan_.steps[step];
    return memory_.data() + planned.output + (planned.output_by_group ? 0 : first_sample * planned.layer->out().size());
}

const float* Sequential::input_of(std::size_t step, std::size_t first_sample, const float* x) {
    return step == 0 ? x + first_sample * problem_.features() : output_of(step - 1, first_sample);
}

Pass Sequential::pass_for(std::size_t step, std::size_t first_sample, std::size_t samples) {
    const PlannedStep& planned = plan_.steps[step];
    float* memory = memory_.data();
    return {.samples = samples,
            .training = training_,
            .threads = threads_,
            .dropout = dropout_,
            .dropout_first = ((step_in_round_ * plan_.dropout_layers + planned.dropout) << dropout_bits) +
                             (first_of_part_ + first_sample) * planned.layer->in().size(),
            .parameters = parameters_.data() + planned.parameters,
            .derived = memory + planned.derived,
            .state = memory + planned.state + first_sample * planned.layer->state_size(),
            .scratch = memory + plan_.scratch};
}

void Sequential::run_forward(std::size_t samples, const float* x) {
    const auto run = [&](std::size_t step, std::size_t first, std::size_t count) {
        plan_.steps[step].layer->forward(pass_for(step, first, count), input_of(step, first, x), output_of(step, first));
    };
    for (std::size_t first = 0; first < samples; first += plan_.group) {
        for (std::size_t step = 0; step < plan_.split; ++step) run(step, first, std::min(plan_.group, samples - first));
    }
    for (std::size_t step = plan_.split; step < plan_.steps.size(); ++step) run(step, 0, samples);
}

kernels::LossSum Sequential::run_both(const Batch& batch, const BackwardSettings& settings, const BatchPart& part) {
    if (batch.samples == 0) {  // others have all of a small batch
        std::fill(gradient_.begin(), gradient_.end(), 0.0F);
        return {};
    }
    run_forward(batch.samples, batch.x);
    // Samples of weight 0 alone move nothing, rather than dividing by 0.
    const double weight = part.others == nullptr ? sum_of_weights(batch, class_weights_) : part.weight;
    const float scale = weight > 0 ? static_cast<float>(1 / weight) : 0.0F;
    float* gradient = memory_.data() + plan_.head_gradients[0];
    const float* outputs = output_of(plan_.steps.size() - 1, 0);
    const auto sum = measure_loss(loss_, batch, problem_.outputs(), outputs, class_weights_, scale, gradient);
    run_backward(batch.samples, batch.x, settings);
    return sum;
}

void Sequential::run_backward(std::size_t samples, const float* x, const BackwardSettings& settings) {
    for (std::size_t step = plan_.first_trained + 1; step < plan_.steps.size(); ++step) {
        const PlannedStep& planned = plan_.steps[step];
        planned.layer->prepare_backward(parameters_.data() + planned.parameters, memory_.data() + planned.derived);
    }
    float* const memory = memory_.data();
    // Each step's dx goes where dy is not, or over dy where the layer is elementwise.
    const auto other = [&](const std::array<std::size_t, 2>& buffers, const float* dy) {
        return memory + buffers[memory + buffers[0] == dy ? 1 : 0];
    };
    const auto run = [&](std::size_t step, std::size_t first, std::size_t count, const std::array<std::size_t, 2>& buffers, float* dy) {
        float* dx = nullptr;
        if (plan_.wants_input_gradient(step)) dx = plan_.steps[step].layer->runs_in_place() ? dy : other(buffers, dy);
        backward_step(step, first, count, x, dy, dx, settings);
        return dx;
    };
    float* dy = memory + plan_.head_gradients[0];
    for (std::size_t step = plan_.steps.size(); step-- > std::max(plan_.split, plan_.first_trained);) {
        dy = run(step, 0, samples, plan_.head_gradients, dy);
    }
    if (plan_.split <= plan_.first_trained) return;
    const std::size_t boundary_size = plan_.steps[plan_.split - 1].layer->out().size();
    for (std::size_t first = 0; first < samples; first += plan_.group) {
        float* group_dy = dy + first * boundary_size;
        for (std::size_t step = plan_.split; step-- > plan_.first_trained;) {
            group_dy = run(step, first, std::min(plan_.group, samples - first), plan_.group_gradients, group_dy);
        }
    }
}

void Sequential::backward_step(std::size_t step, std::size_t first_sample, std::size_t samples, const float* x, const float* dy, float* dx,
                               const BackwardSettings& settings) {
    const PlannedStep& planned = plan_.steps[step];
    const Layer& layer = *planned.layer;
    GradientTarget target;
    if (layer.packed_size() > 0) {
        if (settings.steps_in_place && layer.steps_in_place()) {
            target = {.target = parameters_.data() + planned.parameters, .scale = settings.scale, .decay = settings.decay};
        } else {
            // The first group replaces what is there, the next ones add to it.
            target = {.target = gradient_.data() + planned.parameters, .scale = 1, .decay = first_sample == 0 ? 0.0F : 1.0F};
        }
    }
    const float* input = input_of(step, first_sample, x);
    layer.backward(pass_for(step, first_sample, samples), input, output_of(step, first_sample), dy, dx, planned.input_is_relu, target);
    if (dx != nullptr && planned.input_is_relu && layer.relu_mask() == ReluMask::none) {
        kernels::relu_backward(samples * layer.in().size(), input, dx, dx, *threads_);
    }
}

void Sequential::pack(std::span<const float> flat, std::span<float> packed) const {
    assert(flat.size() == layout_.size());
    std::size_t at = 0;
    for (const auto& step : plan_.steps) {
        const std::size_t size = flat_size(*step.layer);
        step.layer->pack(flat.subspan(at, size), packed.data() + step.parameters);
        at += size;
    }
}

void Sequential::unpack(std::span<const float> packed, std::span<float> flat) const {
    assert(flat.size() == layout_.size());
    std::size_t at = 0;
    for (const auto& step : plan_.steps) {
        const std::size_t size = flat_size(*step.layer);
        step.layer->unpack(packed.data() + step.parameters, flat.subspan(at, size));
        at += size;
    }
}

}  // namespace silosum

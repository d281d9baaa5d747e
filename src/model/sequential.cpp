#include "model/sequential.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/error.hpp"
#include "kernels/activation.hpp"
#include "kernels/gather.hpp"

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
bool steps_in_place(const OptimizerSettings& optimizer, std::size_t samples) {
    constexpr std::size_t most_samples = 64;
    return optimizer.is_plain_sgd() && optimizer.weight_decay == 0 && samples <= most_samples;
}

std::size_t size_of_gradient(const ExecutionPlan& plan, bool in_place) {
    return in_place ? plan.gradient_prefix : plan.packed_size;
}

/// For each packed parameter its place in the flat vector, found by packing the places themselves: as two numbers, because a float holds
/// no more than 24 bits.
std::vector<std::uint32_t> places_of(const ExecutionPlan& plan, std::size_t parameters) {
    constexpr std::uint32_t radix = 4096;
    require(parameters < kernels::nowhere, "{} parameters are more than a model on a GPU can have ({}): set run.device = cpu", parameters,
            kernels::nowhere - 1);
    std::vector<float> low(parameters);
    std::vector<float> high(parameters);
    for (std::size_t i = 0; i < parameters; ++i) {
        const std::size_t quotient = i / radix;
        low[i] = static_cast<float>(i % radix + 1);  // 0 stays for padding
        high[i] = static_cast<float>(quotient);
    }
    std::vector<float> packed_low(plan.packed_size);
    std::vector<float> packed_high(plan.packed_size);
    std::size_t at = 0;
    for (const auto& step : plan.steps) {
        const std::size_t size = flat_size(*step.layer);
        step.layer->pack(std::span(low).subspan(at, size), packed_low.data() + step.parameters);
        step.layer->pack(std::span(high).subspan(at, size), packed_high.data() + step.parameters);
        at += size;
    }
    std::vector<std::uint32_t> places(plan.packed_size, kernels::nowhere);
    for (std::size_t i = 0; i < places.size(); ++i) {
        if (packed_low[i] == 0.0F) continue;
        places[i] = static_cast<std::uint32_t>(packed_high[i]) * radix + static_cast<std::uint32_t>(packed_low[i]) - 1;
    }
    return places;
}

/// A batch of the host in the memory of the stream, where that is another one.
class BatchCopy {
public:
    BatchCopy(const Stream& stream, const Batch& host, const Problem& problem) : here_(host) {
        if (!stream.is_cuda()) return;
        here_.x = copied(stream, host.x, host.samples * problem.features(), x_);
        here_.labels = copied(stream, host.labels, host.samples, labels_);
        here_.targets = copied(stream, host.targets, host.samples, targets_);
    }
    [[nodiscard]] const Batch& here() const { return here_; }

private:
    template <class T>
    static const T* copied(const Stream& stream, const T* host, std::size_t size, Buffer<T>& buffer) {
        if (host == nullptr) return nullptr;
        buffer = stream.allocate<T>(size);
        stream.upload(std::span(host, size), buffer.span());
        return buffer.data();
    }

    Batch here_;
    Buffer<float> x_;
    Buffer<std::int32_t> labels_;
    Buffer<float> targets_;
};

}  // namespace

Sequential::Sequential(std::span<const LayerSpec> layers, const Problem& problem, const std::string& loss, const Stream& stream,
                       std::size_t batch_size_hint)
    : problem_(problem),
      loss_(loss_for(problem, loss)),
      stream_(stream),
      layers_(build_layers(layers, problem)),
      layout_(layout_of(layers_)),
      plan_(plan_execution(layers_, stream_, batch_size_hint)),
      parameters_(stream_.allocate<float>(plan_.packed_size)),
      memory_(stream_.allocate<float>(plan_.memory_size)),
      scale_(stream_.allocate<float>(1)),
      losses_(stream_.allocate<kernels::LossSum>(steps_ahead)) {
    if (!stream_.is_cuda()) return;
    const auto places = places_of(plan_, layout_.size());
    places_ = stream_.allocate<std::uint32_t>(places.size());
    stream_.upload(std::span<const std::uint32_t>(places), places_.span());
    stream_.wait();
}

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

void Sequential::load_here(std::span<const float> flat) {
    pack_here(flat, parameters_.span());
}

void Sequential::store_here(std::span<float> flat) const {
    unpack_here(parameters_.span(), flat);
}

void Sequential::set_class_weights(std::vector<float> weights) {
    require(weights.empty() || (problem_.task != Task::regression && weights.size() == problem_.classes),
            "{} class weights do not fit {}: give one for each class", weights.size(), to_string(problem_));
    class_weights_ = std::move(weights);
    class_weights_here_ = stream_.allocate<float>(class_weights_.size());
    stream_.upload(std::span<const float>(class_weights_), class_weights_here_.span());
    stream_.wait();
}

void Sequential::train_step(const Batch& batch, Optimizer& optimizer, double lr, const Random& dropout, std::uint64_t step_in_round,
                            const BatchPart& part) {
    if (waiting_losses_ == steps_ahead) fetch_losses();
    kernels::LossSum* const sum = losses_.data() + waiting_losses_++;
    make_room(batch.samples);
    const bool in_place = part.others == nullptr && steps_in_place(optimizer.settings(), batch.samples);
    make_room_for_gradient(size_of_gradient(plan_, in_place));
    begin_training(dropout, step_in_round, part.first);
    if (!in_place) {
        run_both(batch, {}, sum, part);
        const auto gradient = gradient_.span().first(plan_.packed_size);
        if (part.others != nullptr) add_up(*part.others, gradient, sum);
        return optimizer.step(lr, parameters_.span(), gradient);
    }
    run_both(batch, {.steps_in_place = true, .scale = static_cast<float>(-lr), .decay = 1}, sum);
    for (const auto& step : plan_.steps) {
        const std::size_t size = step.layer->packed_size();
        if (size == 0 || step.layer->steps_in_place()) continue;
        optimizer.plain_step(lr, parameters_.span().subspan(step.parameters, size), gradient_.span().subspan(step.parameters, size));
    }
}

void Sequential::fetch_losses() {
    const std::size_t before = fetched_losses_.size();
    fetched_losses_.resize(before + waiting_losses_);
    const std::span<const kernels::LossSum> waiting = losses_.span().first(waiting_losses_);
    stream_.download(waiting, std::span(fetched_losses_).subspan(before));
    stream_.wait();
    waiting_losses_ = 0;
}

std::vector<kernels::LossSum> Sequential::take_losses() {
    fetch_losses();
    return std::exchange(fetched_losses_, {});
}

double Sequential::gradient(const Batch& batch, std::span<float> flat_gradient, const Random& dropout, std::uint64_t step_in_round) {
    take_losses();
    const BatchCopy copy(stream_, batch, problem_);
    make_room(batch.samples);
    make_room_for_gradient(plan_.packed_size);
    begin_training(dropout, step_in_round);
    run_both(copy.here(), {}, losses_.data());
    unpack(gradient_.span(), flat_gradient);
    waiting_losses_ = 1;
    const auto sum = take_losses().front();
    return sum.loss / sum.weight;
}

void Sequential::predict(std::size_t samples, const float* x, float* outputs) {
    training_ = false;
    const std::size_t features = problem_.features();
    for (std::size_t first = 0; first < samples; first += plan_.capacity) {
        const std::size_t piece = std::min(plan_.capacity, samples - first);
        const BatchCopy copy(stream_, {.samples = piece, .x = x + first * features}, problem_);
        run_forward(piece, copy.here().x);
        const std::span<const float> made(output_of(plan_.steps.size() - 1, 0), piece * problem_.outputs());
        stream_.download(made, std::span(outputs + first * problem_.outputs(), made.size()));
        stream_.wait();
    }
}

kernels::LossSum Sequential::loss(const Batch& batch) {
    kernels::LossSum sum;
    const std::size_t outputs = problem_.outputs();
    logits_.resize(logits_block * outputs);
    for (std::size_t first = 0; first < batch.samples; first += logits_block) {
        const Batch block{.samples = std::min(logits_block, batch.samples - first),
                          .x = batch.x + first * problem_.features(),
                          .labels = batch.labels == nullptr ? nullptr : batch.labels + first,
                          .targets = batch.targets == nullptr ? nullptr : batch.targets + first * outputs};
        predict(block.samples, block.x, logits_.data());
        kernels::LossSum part;
        measure_loss(stream_.threads(), loss_, block, outputs, logits_.data(), class_weights_, nullptr, nullptr, &part);
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
    return (parameters_.size() + gradient_.size() + memory_.size() + places_.size() + flat_copy_.size()) * sizeof(float);
}

std::size_t Sequential::estimate_memory_bytes(std::span<const LayerSpec> layers, const Problem& problem, const RunsOn& place,
                                              std::size_t batch_size, const OptimizerSettings& settings, bool shares_batches) {
    const auto built = build_layers(layers, problem);
    const auto plan = plan_execution(built, place, batch_size);
    const std::size_t gradient = size_of_gradient(plan, !shares_batches && steps_in_place(settings, batch_size));
    const std::size_t of_gpu = place.gpu ? plan.packed_size + plan.gpu_workspace : 0;  // places, which are as large as floats
    return (plan.packed_size * (1 + settings.state_vectors()) + gradient + plan.memory_size + of_gpu) * sizeof(float);
}

void Sequential::make_room(std::size_t samples) {
    if (samples <= plan_.capacity) return;
    auto larger = plan_execution(layers_, stream_, samples);
    memory_ = Buffer<float>();  // freed before the larger one is made
    plan_.capacity = 0;         // none, should there be no room
    memory_ = stream_.allocate<float>(larger.memory_size);
    plan_ = std::move(larger);
}

void Sequential::make_room_for_gradient(std::size_t floats) {
    if (gradient_.size() < floats) gradient_ = stream_.allocate<float>(floats);
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
            .stream = &stream_,
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

// Samples of weight 0 alone move nothing, rather than dividing by 0.
void Sequential::set_scale(const Batch& batch, const BatchPart& part) {
    if (part.others != nullptr) {
        part_scale_ = part.weight > 0 ? static_cast<float>(1 / part.weight) : 0.0F;
        return stream_.upload(std::span<const float>(&part_scale_, 1), scale_.span());
    }
    const float* weights = class_weights_.empty() ? nullptr : class_weights_here_.data();
    stream_.run([&](const auto& on) { kernels::mean_scale(batch.samples, batch.labels, weights, scale_.data(), on); });
}

// The ranks of a group add on the host.
void Sequential::add_up(GradientSum& others, std::span<float> gradient, kernels::LossSum* sum) {
    if (!stream_.is_cuda()) {
        *sum = others.add_up(*sum, gradient);
        return;
    }
    kernels::LossSum loss;
    host_gradient_.resize(gradient.size());
    stream_.download(std::span<const kernels::LossSum>(sum, 1), std::span(&loss, 1));
    stream_.download(std::span<const float>(gradient), std::span(host_gradient_));
    stream_.wait();
    loss = others.add_up(loss, host_gradient_);
    stream_.upload(std::span<const float>(host_gradient_), gradient);
    stream_.upload(std::span<const kernels::LossSum>(&loss, 1), std::span(sum, 1));
    stream_.wait();
}

void Sequential::run_both(const Batch& batch, const BackwardSettings& settings, kernels::LossSum* sum, const BatchPart& part) {
    if (batch.samples == 0) {  // others have all of a small batch
        stream_.fill_with_zeros(gradient_.span());
        return stream_.fill_with_zeros(std::span(sum, 1));
    }
    run_forward(batch.samples, batch.x);
    set_scale(batch, part);
    float* gradient = memory_.data() + plan_.head_gradients[0];
    const float* outputs = output_of(plan_.steps.size() - 1, 0);
    measure_loss(stream_, loss_, batch, problem_.outputs(), outputs, class_weights_here_.span(), scale_.data(), gradient, sum);
    run_backward(batch.samples, batch.x, settings);
}

void Sequential::run_backward(std::size_t samples, const float* x, const BackwardSettings& settings) {
    for (std::size_t step = plan_.first_trained + 1; step < plan_.steps.size(); ++step) {
        const PlannedStep& planned = plan_.steps[step];
        planned.layer->prepare_backward(stream_, parameters_.data() + planned.parameters, memory_.data() + planned.derived);
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
        stream_.run([&](const auto& on) { kernels::relu_backward(samples * layer.in().size(), input, dx, dx, on); });
    }
}

void Sequential::pack_here(std::span<const float> flat, std::span<float> packed) const {
    assert(flat.size() == layout_.size());
    if (stream_.is_cuda()) return kernels::gather_places(packed.size(), places_.data(), flat.data(), packed.data(), stream_.cuda());
    std::size_t at = 0;
    for (const auto& step : plan_.steps) {
        const std::size_t size = flat_size(*step.layer);
        step.layer->pack(flat.subspan(at, size), packed.data() + step.parameters);
        at += size;
    }
}

void Sequential::unpack_here(std::span<const float> packed, std::span<float> flat) const {
    assert(flat.size() == layout_.size());
    if (stream_.is_cuda()) return kernels::scatter_places(plan_.packed_size, places_.data(), packed.data(), flat.data(), stream_.cuda());
    std::size_t at = 0;
    for (const auto& step : plan_.steps) {
        const std::size_t size = flat_size(*step.layer);
        step.layer->unpack(packed.data() + step.parameters, flat.subspan(at, size));
        at += size;
    }
}

void Sequential::pack(std::span<const float> flat, std::span<float> packed) const {
    if (!stream_.is_cuda()) return pack_here(flat, packed);
    Buffer<float>& copy = flat_copy();
    stream_.upload(flat, copy.span());
    pack_here(copy.span(), packed);
    stream_.wait();
}

void Sequential::unpack(std::span<const float> packed, std::span<float> flat) const {
    if (!stream_.is_cuda()) return unpack_here(packed, flat);
    Buffer<float>& copy = flat_copy();
    unpack_here(packed, copy.span());
    stream_.download(std::span<const float>(copy.span()), flat);
    stream_.wait();
}

Buffer<float>& Sequential::flat_copy() const {
    if (flat_copy_.empty()) flat_copy_ = stream_.allocate<float>(layout_.size());
    return flat_copy_;
}

}  // namespace silosum

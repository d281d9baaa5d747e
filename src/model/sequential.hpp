// A model of layers one after the other: its parameters in the kernels' packed form, forward and backward pass, and the training step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/buffer.hpp"
#include "base/random.hpp"
#include "device/stream.hpp"
#include "model/batch_part.hpp"
#include "model/execution_plan.hpp"
#include "model/initial_values.hpp"
#include "model/layer_list.hpp"
#include "model/loss.hpp"
#include "model/optimizer.hpp"
#include "model/parameters.hpp"
#include "model/task.hpp"

namespace silosum {

/// Results do not depend on the number of threads, on the batch size hint, or on what the model did before (dropout is a function of its
/// arguments). Not to be used by two threads at once. Pointers and spans are of the host's memory unless "of the stream" is said: a model
/// on a GPU then copies, and waits.
class Sequential {
public:
    /// loss: a name of loss_names(). stream: where it runs and where its parameters lie; the stream's threads must outlive the model.
    /// batch_size_hint: samples of the usual largest batch; a larger one works and makes room for itself.
    /// Throws UsageError for layers that do not fit together or a loss that does not fit the task.
    Sequential(std::span<const LayerSpec> layers, const Problem& problem, const std::string& loss, const Stream& stream,
               std::size_t batch_size_hint);

    /// Tensors as torch.nn.Sequential names them: "0.weight", "0.bias", "3.weight"..., an implied flatten counting as a layer.
    [[nodiscard]] const Layout& layout() const { return layout_; }
    [[nodiscard]] const Problem& problem() const { return problem_; }
    [[nodiscard]] std::size_t outputs() const { return problem_.outputs(); }

    /// Parameters to start with, in layout order.
    void initialise(std::uint64_t seed, InitialValues scheme, std::span<float> flat) const;
    /// Takes parameters from, or gives them as, the flat vector of the layout.
    void load(std::span<const float> flat);
    void store(std::span<float> flat) const;
    /// The same where the vector is of the stream: in the order of its work.
    void load_here(std::span<const float> flat);
    void store_here(std::span<float> flat) const;
    [[nodiscard]] const Stream& stream() const { return stream_; }

    /// Weights of the classes in the loss (classification, binary); empty for 1 each. The mean loss is the weighted one.
    void set_class_weights(std::vector<float> weights);
    [[nodiscard]] std::span<const float> class_weights() const { return class_weights_; }

    /// One step on the mean loss of the batch, which is of the stream. `dropout` is the random stream of the silo and the round,
    /// `step_in_round` counts from 0. part: where the batch is a part (perhaps without a sample) of one that ranks share, which part; the
    /// step, and its loss, are then those of the whole.
    void train_step(const Batch& batch, Optimizer& optimizer, double lr, const Random& dropout, std::uint64_t step_in_round,
                    const BatchPart& part = {});
    /// What the batches of the steps since the last call gave before each step. Waits for them.
    std::vector<kernels::LossSum> take_losses();
    /// Steps that a GPU does between two waits for the host.
    static constexpr std::size_t steps_ahead = 256;

    /// Mean loss of the batch and its gradient in layout order; dropout as in training.
    double gradient(const Batch& batch, std::span<float> flat_gradient, const Random& dropout, std::uint64_t step_in_round);
    /// outputs (samples, outputs()): logits or values, without dropout, for any number of samples.
    void predict(std::size_t samples, const float* x, float* outputs);
    /// Losses without dropout, for any number of samples.
    [[nodiscard]] kernels::LossSum loss(const Batch& batch);

    /// An optimizer for this model, with no steps taken.
    [[nodiscard]] Optimizer make_optimizer(const OptimizerSettings& settings) const { return {settings, plan_.packed_size, stream_}; }
    /// State vector i of an optimizer of this model in layout order, for checkpoints.
    void store_state(const Optimizer& optimizer, std::size_t i, std::span<float> flat) const;
    void load_state(Optimizer& optimizer, std::size_t i, std::span<const float> flat) const;

    /// Floats of the gradient that a GradientSum adds up.
    [[nodiscard]] std::size_t gradient_size() const { return plan_.packed_size; }

    /// Bytes held now.
    [[nodiscard]] std::size_t memory_bytes() const;
    /// Bytes that a model with its optimizer will hold once it has trained on batches, or parts of batches, of `batch_size` samples; on a
    /// GPU with what its kernels take of the stream, and without copies of what the host gives or asks for.
    [[nodiscard]] static std::size_t estimate_memory_bytes(std::span<const LayerSpec> layers, const Problem& problem, const RunsOn& place,
                                                           std::size_t batch_size, const OptimizerSettings& optimizer,
                                                           bool shares_batches = false);

private:
    /// What one backward pass does with the gradients.
    struct BackwardSettings {
        bool steps_in_place = false;  // layers that can put an SGD step straight into their parameters
        float scale = 1;              // of that step: -lr
        float decay = 0;              // of that step: 1 - lr * weight_decay
    };

    void make_room(std::size_t samples);
    void make_room_for_gradient(std::size_t floats);
    [[nodiscard]] float* output_of(std::size_t step, std::size_t first_sample);
    [[nodiscard]] const float* input_of(std::size_t step, std::size_t first_sample, const float* x);
    [[nodiscard]] Pass pass_for(std::size_t step, std::size_t first_sample, std::size_t samples);
    void run_forward(std::size_t samples, const float* x);
    void run_both(const Batch& batch, const BackwardSettings& settings, kernels::LossSum* sum, const BatchPart& part = {});
    void set_scale(const Batch& batch, const BatchPart& part);
    void add_up(GradientSum& others, std::span<float> gradient, kernels::LossSum* sum);
    void run_backward(std::size_t samples, const float* x, const BackwardSettings& settings);
    void backward_step(std::size_t step, std::size_t first_sample, std::size_t samples, const float* x, const float* dy, float* dx,
                       const BackwardSettings& settings);
    void fetch_losses();
    void begin_training(const Random& dropout, std::uint64_t step_in_round, std::size_t first_of_part = 0);
    // packed is of the stream, flat of the stream or of the host.
    void pack_here(std::span<const float> flat, std::span<float> packed) const;
    void unpack_here(std::span<const float> packed, std::span<float> flat) const;
    void pack(std::span<const float> flat, std::span<float> packed) const;
    void unpack(std::span<const float> packed, std::span<float> flat) const;
    [[nodiscard]] Buffer<float>& flat_copy() const;

    Problem problem_;
    Loss loss_;
    Stream stream_;
    std::vector<std::unique_ptr<Layer>> layers_;
    Layout layout_;
    ExecutionPlan plan_;
    Buffer<float> parameters_;  // packed
    Buffer<float> gradient_;    // packed likewise; only as long as needed
    Buffer<float> memory_;      // activations and all else that the plan places
    Buffer<float> scale_;       // of the batch's gradient
    float part_scale_ = 1;      // the same, on its way there
    Buffer<kernels::LossSum> losses_;
    std::size_t waiting_losses_ = 0;  // in losses_
    std::vector<kernels::LossSum> fetched_losses_;
    std::vector<float> class_weights_;
    std::vector<float> logits_;  // of loss()
    Buffer<float> class_weights_here_;

    // On a GPU alone: where each packed parameter lies in the flat vector, and copies of what the host gives or asks for.
    Buffer<std::uint32_t> places_;
    mutable Buffer<float> flat_copy_;
    std::vector<float> host_gradient_;

    // Of the pass in hand.
    bool training_ = false;
    const Random* dropout_ = nullptr;
    std::uint64_t step_in_round_ = 0;
    std::size_t first_of_part_ = 0;  // place of the first sample in the whole batch
};

}  // namespace silosum

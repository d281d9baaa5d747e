// Local optimisers over a model's packed parameters, with their state between steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/buffer.hpp"
#include "device/stream.hpp"

namespace silosum {

/// Formulas as in PyTorch's torch.optim.SGD and Adam; weight decay is L2, part of the gradient.
struct OptimizerSettings {
    enum class Kind { sgd, adam };
    Kind kind = Kind::sgd;
    double momentum = 0;  // sgd
    bool nesterov = false;
    double weight_decay = 0;
    double clip_norm = 0;  // largest L2 norm of a step's gradient, 0 for none
    double beta1 = 0.9;    // adam
    double beta2 = 0.999;
    double epsilon = 1e-8;

    /// Vectors of the model's size that the optimiser keeps between steps: none, velocity, or m and v.
    [[nodiscard]] std::size_t state_vectors() const { return kind == Kind::adam ? 2 : momentum > 0 ? 1 : 0; }
    /// True where a step is parameters = (1 - lr * weight_decay) * parameters - lr * gradient, with nothing in between.
    [[nodiscard]] bool is_plain_sgd() const { return state_vectors() == 0 && clip_norm == 0; }
};

class Optimizer {
public:
    /// packed_size: of the model it will step, whose stream it works on.
    Optimizer(const OptimizerSettings& settings, std::size_t packed_size, const Stream& stream);

    [[nodiscard]] const OptimizerSettings& settings() const { return settings_; }

    /// One step on all parameters; the spans are of the stream's memory and have packed_size values.
    void step(double lr, std::span<float> parameters, std::span<const float> gradient);
    /// A plain step on a part of the parameters, for plain SGD only.
    void plain_step(double lr, std::span<float> parameters, std::span<const float> gradient) const;

    /// As if new: state 0, no steps taken.
    void reset();
    /// State in the stream's memory, packed like the parameters: vector 0 is the velocity or m, vector 1 is v. Sequential::store_state
    /// gives it flat.
    [[nodiscard]] std::size_t vectors() const { return settings_.state_vectors(); }
    [[nodiscard]] std::span<float> vector(std::size_t i) { return i == 0 ? first_.span() : second_.span(); }
    [[nodiscard]] std::span<const float> vector(std::size_t i) const { return i == 0 ? first_.span() : second_.span(); }
    [[nodiscard]] std::uint64_t steps() const { return steps_; }
    void set_steps(std::uint64_t steps) { steps_ = steps; }
    [[nodiscard]] std::size_t memory_bytes() const { return (first_.size() + second_.size()) * sizeof(float); }

private:
    OptimizerSettings settings_;
    Stream stream_;
    Buffer<float> first_;
    Buffer<float> second_;
    Buffer<double> norm_;  // the gradient's sum of squares, and what clipping leaves of it, where it clips
    Buffer<float> clip_;
    std::uint64_t steps_ = 0;
};

}  // namespace silosum

// One layer of a model: shapes, parameters in PyTorch's form and in the packed form of the kernels, forward and backward pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "device/stream.hpp"
#include "model/shape.hpp"

namespace silosum {

/// How the values of a layer's tensor start.
enum class TensorRole { weight, bias, norm_weight, norm_bias };

struct LayerTensor {
    std::string name;                // "weight" or "bias"
    std::vector<std::size_t> shape;  // PyTorch's
    TensorRole role = TensorRole::weight;
    std::size_t fan_in = 1;
    std::size_t fan_out = 1;
};

/// What a pass over some samples works with. Pointers belong to the model and are of its stream's memory; those of a layer without
/// the thing may be anything.
struct Pass {
    std::size_t samples = 0;
    bool training = false;
    const Stream* stream = nullptr;
    const Random* dropout = nullptr;  // training only
    std::uint64_t dropout_first = 0;  // first word of the stream for these samples
    const float* parameters = nullptr;
    const float* derived = nullptr;  // what prepare_backward wrote
    float* state = nullptr;          // from the forward to the backward pass: samples * state_size() floats
    float* scratch = nullptr;        // scratch_size(threads) floats, for one call
};

/// Where a layer's gradient goes: target = decay * target + scale * gradient, in the packed form of the parameters.
struct GradientTarget {
    float* target = nullptr;
    float scale = 1;
    float decay = 0;
};

/// Who can apply the derivative of a relu that was fused into the layer before: nobody but a pass of its own, the layer by looking at
/// its input, or the layer by looking at its output.
enum class ReluMask { none, from_input, from_output };

class Layer {
public:
    Layer(Shape in, Shape out) : in_(in), out_(out) {}
    virtual ~Layer() = default;
    Layer(const Layer&) = delete;
    Layer& operator=(const Layer&) = delete;

    [[nodiscard]] const Shape& in() const { return in_; }
    [[nodiscard]] const Shape& out() const { return out_; }

    // Parameters. Packed buffers are zero where they hold no value, and stay so.
    [[nodiscard]] virtual std::vector<LayerTensor> tensors() const { return {}; }
    [[nodiscard]] virtual std::size_t packed_size() const { return 0; }
    /// flat: the tensors one after the other.
    virtual void pack(std::span<const float> flat, float* packed) const;
    virtual void unpack(const float* packed, std::span<float> flat) const;
    /// True where the backward pass may write an SGD step straight into the parameters: it reads them before it writes them.
    [[nodiscard]] virtual bool steps_in_place() const { return false; }

    // Memory and data flow, which the model plans with. Sizes are floats; state is for one sample.
    [[nodiscard]] virtual std::size_t state_size() const { return 0; }
    [[nodiscard]] virtual std::size_t scratch_size(std::size_t /*threads*/) const { return 0; }
    /// What the kernels of a GPU take of its stream for a pass of so many samples.
    [[nodiscard]] virtual std::size_t gpu_workspace(std::size_t /*samples*/) const { return 0; }
    [[nodiscard]] virtual std::size_t derived_size() const { return 0; }
    [[nodiscard]] virtual bool backward_needs_input() const { return false; }
    [[nodiscard]] virtual bool backward_needs_output() const { return false; }
    /// True for an elementwise layer whose output may replace its input.
    [[nodiscard]] virtual bool runs_in_place() const { return false; }
    /// True for a layer that only gives its input another shape: it has no pass.
    [[nodiscard]] virtual bool is_only_a_shape() const { return false; }
    [[nodiscard]] virtual bool is_relu() const { return false; }
    [[nodiscard]] virtual bool is_dropout() const { return false; }
    /// Asks the layer to end its forward pass with a relu; true if it does from now on. The backward pass still starts behind the relu's
    /// derivative, that is with the gradient of the layer's own sums.
    [[nodiscard]] virtual bool fuse_relu() { return false; }
    [[nodiscard]] virtual ReluMask relu_mask() const { return ReluMask::none; }

    /// Once for each backward pass, when the gradient of the input is wanted.
    virtual void prepare_backward(const Stream& /*stream*/, const float* /*parameters*/, float* /*derived*/) const {}
    virtual void forward(const Pass& pass, const float* x, float* y) const = 0;
    /// x and y as the forward pass saw them (only valid where the layer says it needs them), dy -> dx and the parameters' gradient.
    /// dx is null where nobody wants it; dx == dy only where runs_in_place(). With input_is_relu, a relu mask of the layer's kind applies.
    virtual void backward(const Pass& pass, const float* x, const float* y, const float* dy, float* dx, bool input_is_relu,
                          const GradientTarget& gradient) const = 0;

private:
    Shape in_;
    Shape out_;
};

inline void Layer::pack(std::span<const float> /*flat*/, float* /*packed*/) const {}
inline void Layer::unpack(const float* /*packed*/, std::span<float> /*flat*/) const {}

/// Packed arrays start on 16 floats, one cache line.
[[nodiscard]] inline std::size_t rounded_up(std::size_t floats) {
    return (floats + 15) / 16 * 16;
}

}  // namespace silosum

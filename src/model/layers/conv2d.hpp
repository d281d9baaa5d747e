// Two-dimensional convolution with square kernels.
#pragma once

#include "kernels/conv2d.hpp"
#include "model/layer.hpp"

namespace silosum {

class Conv2d final : public Layer {
public:
    struct Settings {
        std::size_t channels = 0;
        std::size_t kernel = 0;
        std::size_t stride = 1;
        std::size_t padding = 0;
    };
    /// The kernel must fit into the padded image.
    Conv2d(const Shape& in, const Settings& settings);

    [[nodiscard]] std::vector<LayerTensor> tensors() const override;
    [[nodiscard]] std::size_t packed_size() const override;
    void pack(std::span<const float> flat, float* packed) const override;
    void unpack(const float* packed, std::span<float> flat) const override;
    /// The padded input, which the weights' gradient needs again.
    [[nodiscard]] std::size_t state_size() const override { return shape_.padding > 0 ? shape_.padded_size() : 0; }
    [[nodiscard]] std::size_t gpu_workspace(std::size_t samples) const override { return shape_.gpu_workspace(samples); }
    [[nodiscard]] std::size_t scratch_size(std::size_t threads) const override { return threads * shape_.scratch_size(); }
    [[nodiscard]] std::size_t derived_size() const override { return shape_.flipped_size(); }
    [[nodiscard]] bool backward_needs_input() const override { return shape_.padding == 0; }
    [[nodiscard]] bool fuse_relu() override { return relu_ = true; }
    [[nodiscard]] ReluMask relu_mask() const override { return ReluMask::from_input; }
    void prepare_backward(const Stream& stream, const float* parameters, float* derived) const override;
    void forward(const Pass& pass, const float* x, float* y) const override;
    void backward(const Pass& pass, const float* x, const float* y, const float* dy, float* dx, bool input_is_relu,
                  const GradientTarget& gradient) const override;

private:
    kernels::ConvShape shape_;
    bool relu_ = false;
};

}  // namespace silosum

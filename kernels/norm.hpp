// Layer and group normalisation over channels-last features, as PyTorch defines them (biased variance, epsilon inside the root).
#pragma once

#include <cstddef>

#include "base/threads.hpp"
#include "device/cuda_stream.hpp"

namespace silosum::kernels {

/// Each sample is (pixels, channels); its channels are cut into `groups` equal groups and each group is normalised over its pixels and
/// channels. Layer normalisation is one group; its weight and bias then have one entry per feature (pixels * channels), else one per
/// channel.
struct NormShape {
    std::size_t pixels = 1;
    std::size_t channels = 0;
    std::size_t groups = 1;
    bool per_feature = false;  // weight and bias of size pixels * channels rather than channels
    float epsilon = 1e-5F;

    [[nodiscard]] std::size_t size() const { return pixels * channels; }
    [[nodiscard]] std::size_t weights() const { return per_feature ? pixels * channels : channels; }
};

/// statistics: (samples, groups, 2) receives mean and 1 / sqrt(variance + epsilon).
void norm_forward(const NormShape& shape, std::size_t samples, const float* x, const float* weight, const float* bias, float* y,
                  float* statistics, const Threads& threads);
/// dx (may be null); dweight, dbias = decay * old + scale * gradient, samples added in order (decay 0: old contents are ignored).
void norm_backward(const NormShape& shape, std::size_t samples, const float* x, const float* weight, const float* statistics,
                   const float* dy, float* dx, float scale, float decay, float* dweight, float* dbias, const Threads& threads);

// On a GPU: the same, with pointers to its memory, in the order of the stream; nothing waits.
SILOSUM_CUDA_ONLY void norm_forward(const NormShape& shape, std::size_t samples, const float* x, const float* weight, const float* bias,
                                    float* y, float* statistics, const CudaStream& stream);
SILOSUM_CUDA_ONLY void norm_backward(const NormShape& shape, std::size_t samples, const float* x, const float* weight,
                                     const float* statistics, const float* dy, float* dx, float scale, float decay, float* dweight,
                                     float* dbias, const CudaStream& stream);

}  // namespace silosum::kernels

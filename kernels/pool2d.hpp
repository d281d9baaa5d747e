// Max and average pooling over channels-last images.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/threads.hpp"
#include "device/cuda_stream.hpp"

namespace silosum::kernels {

struct PoolShape {
    std::size_t channels = 0;
    std::size_t height = 0;
    std::size_t width = 0;
    std::size_t window = 2;  // height and width, at most 15
    std::size_t stride = 2;
    std::size_t padding = 0;  // less than the window; never wins a maximum, counts as zero in an average (as PyTorch does)

    [[nodiscard]] std::size_t out_height() const { return (height + 2 * padding - window) / stride + 1; }
    [[nodiscard]] std::size_t out_width() const { return (width + 2 * padding - window) / stride + 1; }
    [[nodiscard]] std::size_t in_size() const { return height * width * channels; }
    [[nodiscard]] std::size_t out_size() const { return out_height() * out_width() * channels; }
};

/// y (samples, out_height, out_width, channels); winner (same shape): position of the maximum in its window, row * window + column, first
/// of equals.
void max_pool_forward(const PoolShape& shape, std::size_t samples, const float* x, float* y, std::uint8_t* winner, const Threads& threads);
/// dx (samples, height, width, channels), overwritten; windows may overlap. Where relu_output (shape of y) is given, dy counts
/// only where it is positive: the derivative of a relu before (or after) the pooling.
void max_pool_backward(const PoolShape& shape, std::size_t samples, const float* dy, const std::uint8_t* winner, const float* relu_output,
                       float* dx, const Threads& threads);
void average_pool_forward(const PoolShape& shape, std::size_t samples, const float* x, float* y, const Threads& threads);
void average_pool_backward(const PoolShape& shape, std::size_t samples, const float* dy, float* dx, const Threads& threads);

// On a GPU: the same, with pointers to its memory, in the order of the stream; nothing waits.
SILOSUM_CUDA_ONLY void max_pool_forward(const PoolShape& shape, std::size_t samples, const float* x, float* y, std::uint8_t* winner,
                                        const CudaStream& stream);
SILOSUM_CUDA_ONLY void max_pool_backward(const PoolShape& shape, std::size_t samples, const float* dy, const std::uint8_t* winner,
                                         const float* relu_output, float* dx, const CudaStream& stream);
SILOSUM_CUDA_ONLY void average_pool_forward(const PoolShape& shape, std::size_t samples, const float* x, float* y,
                                            const CudaStream& stream);
SILOSUM_CUDA_ONLY void average_pool_backward(const PoolShape& shape, std::size_t samples, const float* dy, float* dx,
                                             const CudaStream& stream);

}  // namespace silosum::kernels

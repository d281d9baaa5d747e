// Elementwise activations and dropout. In place (y == x, dx == dy) is allowed everywhere.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/random.hpp"
#include "base/threads.hpp"
#include "device/cuda_stream.hpp"

namespace silosum::kernels {

void relu_forward(std::size_t n, const float* x, float* y, const Threads& threads);
/// dx = dy where y > 0, else 0.
void relu_backward(std::size_t n, const float* y, const float* dy, float* dx, const Threads& threads);
void tanh_forward(std::size_t n, const float* x, float* y, const Threads& threads);
/// dx = dy (1 - y^2)
void tanh_backward(std::size_t n, const float* y, const float* dy, float* dx, const Threads& threads);
void sigmoid_forward(std::size_t n, const float* x, float* y, const Threads& threads);
/// dx = dy y (1 - y)
void sigmoid_backward(std::size_t n, const float* y, const float* dy, float* dx, const Threads& threads);
/// GELU in its tanh form, Hendrycks and Gimpel 2016, equation before 3: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
void gelu_forward(std::size_t n, const float* x, float* y, const Threads& threads);
/// Needs the input x, not the output.
void gelu_backward(std::size_t n, const float* x, const float* dy, float* dx, const Threads& threads);

/// Inverted dropout: element i is kept when random.word(first + i) >= rate * 2^32, then scaled by 1 / (1 - rate). 0 <= rate < 1.
/// The backward pass is the same call on dy.
void dropout(std::size_t n, const Random& random, std::uint64_t first, float rate, const float* x, float* y, const Threads& threads);

// On a GPU: the same, with pointers to its memory, in the order of the stream; nothing waits.
SILOSUM_CUDA_ONLY void relu_forward(std::size_t n, const float* x, float* y, const CudaStream& stream);
SILOSUM_CUDA_ONLY void relu_backward(std::size_t n, const float* y, const float* dy, float* dx, const CudaStream& stream);
SILOSUM_CUDA_ONLY void tanh_forward(std::size_t n, const float* x, float* y, const CudaStream& stream);
SILOSUM_CUDA_ONLY void tanh_backward(std::size_t n, const float* y, const float* dy, float* dx, const CudaStream& stream);
SILOSUM_CUDA_ONLY void sigmoid_forward(std::size_t n, const float* x, float* y, const CudaStream& stream);
SILOSUM_CUDA_ONLY void sigmoid_backward(std::size_t n, const float* y, const float* dy, float* dx, const CudaStream& stream);
SILOSUM_CUDA_ONLY void gelu_forward(std::size_t n, const float* x, float* y, const CudaStream& stream);
SILOSUM_CUDA_ONLY void gelu_backward(std::size_t n, const float* x, const float* dy, float* dx, const CudaStream& stream);
SILOSUM_CUDA_ONLY void dropout(std::size_t n, const Random& random, std::uint64_t first, float rate, const float* x, float* y,
                               const CudaStream& stream);

}  // namespace silosum::kernels

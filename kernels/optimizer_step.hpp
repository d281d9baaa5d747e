// Elementwise optimiser steps and the reductions that gradient clipping needs.
// Formulas as in PyTorch's torch.optim.SGD and Adam (Kingma and Ba 2015, algorithm 1); weight decay is L2, added to the gradient.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/threads.hpp"
#include "device/cuda_stream.hpp"

namespace silosum::kernels {

struct SgdStep {
    float lr = 0;
    float momentum = 0;  // velocity = momentum * velocity + g; step along velocity, or g + momentum * velocity with nesterov
    bool nesterov = false;
    float weight_decay = 0;
};
/// The gradient is multiplied by *gradient_scale before all else: what clipping leaves of it; null for 1. velocity may be null when
/// momentum is 0.
void sgd_step(std::size_t n, const SgdStep& step, const float* gradient_scale, float* parameters, const float* gradient, float* velocity,
              const Threads& threads);

struct AdamStep {
    float lr = 0;
    float beta1 = 0.9F;
    float beta2 = 0.999F;
    float epsilon = 1e-8F;
    float weight_decay = 0;
    std::uint64_t step = 1;  // 1 for the first
};
void adam_step(std::size_t n, const AdamStep& step, const float* gradient_scale, float* parameters, const float* gradient, float* m,
               float* v, const Threads& threads);

/// The same steps for one value in double: the specification that the kernels are tested against.
struct SgdReference {
    double velocity = 0;
    [[nodiscard]] double step(const SgdStep& settings, double lr, double parameter, double gradient);
};
struct AdamReference {
    double m = 0;
    double v = 0;
    [[nodiscard]] double step(const AdamStep& settings, double lr, double parameter, double gradient);
};

/// *sum = sum of squares in double over fixed blocks of 4096 values, combined in order: the same for any number of threads.
void sum_of_squares(std::size_t n, const float* x, double* sum, const Threads& threads);
/// *scale = what brings a vector with this sum of squares down to the norm `largest_norm`, 1 where it is not longer.
void clip_scale(const double* sum_of_squares, double largest_norm, float* scale, const Threads& threads);

// On a GPU: the same, with pointers to its memory (sums and scales too), in the order of the stream; nothing waits.
SILOSUM_CUDA_ONLY void sgd_step(std::size_t n, const SgdStep& step, const float* gradient_scale, float* parameters, const float* gradient,
                                float* velocity, const CudaStream& stream);
SILOSUM_CUDA_ONLY void adam_step(std::size_t n, const AdamStep& step, const float* gradient_scale, float* parameters, const float* gradient,
                                 float* m, float* v, const CudaStream& stream);
SILOSUM_CUDA_ONLY void sum_of_squares(std::size_t n, const float* x, double* sum, const CudaStream& stream);
SILOSUM_CUDA_ONLY void clip_scale(const double* sum_of_squares, double largest_norm, float* scale, const CudaStream& stream);

}  // namespace silosum::kernels

// Optimiser steps on a GPU, a parameter a thread, and the norm of the gradient.
#include <cmath>

#include "kernels/elementwise_cuda.cuh"
#include "kernels/optimizer_step.hpp"

namespace silosum::kernels {
namespace {

struct Sgd {
    SgdStep step;
    const float* gradient_scale;
    float* parameters;
    const float* gradient;
    float* velocity;
    __device__ void operator()(std::size_t i) const {
        const float scale = gradient_scale == nullptr ? 1.0F : *gradient_scale;
        const float parameter = parameters[i], slope = __fmaf_rn(step.weight_decay, parameter, scale * gradient[i]);
        float direction = slope;
        if (step.momentum != 0.0F) {
            const float speed = __fmaf_rn(step.momentum, velocity[i], slope);
            velocity[i] = speed;
            direction = step.nesterov ? __fmaf_rn(step.momentum, speed, slope) : speed;
        }
        parameters[i] = __fmaf_rn(-step.lr, direction, parameter);
    }
};

struct Adam {
    float rate, spread, epsilon, weight_decay, keep1, keep2, take1, take2;
    const float* gradient_scale;
    float* parameters;
    const float* gradient;
    float* m;
    float* v;
    __device__ void operator()(std::size_t i) const {
        const float scale = gradient_scale == nullptr ? 1.0F : *gradient_scale;
        const float parameter = parameters[i], slope = __fmaf_rn(weight_decay, parameter, scale * gradient[i]);
        const float mean = __fmaf_rn(take1, slope, keep1 * m[i]), square = __fmaf_rn(take2 * slope, slope, keep2 * v[i]);
        m[i] = mean;
        v[i] = square;
        parameters[i] = __fmaf_rn(-rate, mean / __fmaf_rn(sqrtf(square), spread, epsilon), parameter);
    }
};

constexpr std::size_t values_per_block = 4096;

__global__ void __launch_bounds__(block_threads) squares_kernel(std::size_t n, const float* __restrict__ x, double* __restrict__ sums) {
    __shared__ double parts[block_threads / 32];
    const std::size_t first = blockIdx.x * values_per_block;
    double sum = 0;
    for (std::size_t i = first + threadIdx.x; i < min(n, first + values_per_block); i += block_threads) {
        sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    }
    sum = sum_of_block(sum, parts);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(block_threads) add_sums_kernel(int blocks, const double* __restrict__ sums, double* sum) {
    __shared__ double parts[block_threads / 32];
    double own = 0;
    for (int i = static_cast<int>(threadIdx.x); i < blocks; i += static_cast<int>(block_threads)) own += sums[i];
    own = sum_of_block(own, parts);
    if (threadIdx.x == 0) *sum = own;
}

__global__ void __launch_bounds__(1) clip_scale_kernel(const double* sum_of_squares, double largest_norm, float* scale) {
    const double norm = sqrt(*sum_of_squares);
    *scale = norm > largest_norm ? static_cast<float>(largest_norm / norm) : 1.0F;
}

}  // namespace

void sgd_step(std::size_t n, const SgdStep& step, const float* gradient_scale, float* parameters, const float* gradient, float* velocity,
              const CudaStream& stream) {
    for_each_index(n, Sgd{step, gradient_scale, parameters, gradient, velocity}, stream);
}

void adam_step(std::size_t n, const AdamStep& step, const float* gradient_scale, float* parameters, const float* gradient, float* m,
               float* v, const CudaStream& stream) {
    const double correction1 = 1.0 - std::pow(static_cast<double>(step.beta1), static_cast<double>(step.step));
    const double correction2 = 1.0 - std::pow(static_cast<double>(step.beta2), static_cast<double>(step.step));
    const Adam adam{static_cast<float>(static_cast<double>(step.lr) / correction1),
                    static_cast<float>(1.0 / std::sqrt(correction2)),
                    step.epsilon,
                    step.weight_decay,
                    step.beta1,
                    step.beta2,
                    1.0F - step.beta1,
                    1.0F - step.beta2,
                    gradient_scale,
                    parameters,
                    gradient,
                    m,
                    v};
    for_each_index(n, adam, stream);
}

void sum_of_squares(std::size_t n, const float* x, double* sum, const CudaStream& stream) {
    const unsigned blocks = blocks_for(n, values_per_block);
    double* sums = static_cast<double*>(stream.workspace(blocks * sizeof(double)));
    cuda::launch(squares_kernel, {blocks, block_threads}, stream, n, x, sums);
    cuda::launch(add_sums_kernel, {1, block_threads}, stream, static_cast<int>(blocks), static_cast<const double*>(sums), sum);
}

void clip_scale(const double* sum_of_squares, double largest_norm, float* scale, const CudaStream& stream) {
    cuda::launch(clip_scale_kernel, {1, 1}, stream, sum_of_squares, largest_norm, scale);
}

}  // namespace silosum::kernels

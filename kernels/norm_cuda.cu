// Layer and group normalisation on a GPU: a block for each group of a sample, and for each weight's gradient. Sums in double, as on the
// processor.
#include "kernels/elementwise_cuda.cuh"
#include "kernels/norm.hpp"

namespace silosum::kernels {
namespace {

/// Values of one group of one sample: index in x, index of the weight.
struct Groups {
    int channels, groups, width, size;  // width: channels of a group; size: values of a group
    bool per_feature;
    float epsilon;

    explicit Groups(const NormShape& shape)
        : channels(static_cast<int>(shape.channels)),
          groups(static_cast<int>(shape.groups)),
          width(static_cast<int>(shape.channels / shape.groups)),
          size(static_cast<int>(shape.size() / shape.groups)),
          per_feature(shape.per_feature),
          epsilon(shape.epsilon) {}

    struct At {
        std::size_t value;
        int weight;
    };
    __device__ At at(std::size_t block, int i) const {
        const int inside = i / width * channels + static_cast<int>(block % groups) * width + i % width;
        return {block / groups * (static_cast<std::size_t>(size) * groups) + static_cast<std::size_t>(inside),
                per_feature ? inside : inside % channels};
    }
};

__global__ void __launch_bounds__(block_threads)
    forward_kernel(Groups groups, const float* __restrict__ x, const float* __restrict__ weight, const float* __restrict__ bias,
                   float* __restrict__ y, float* __restrict__ statistics) {
    __shared__ double parts[block_threads / 32];
    __shared__ double mean, inverse;
    const std::size_t block = blockIdx.x;
    const int thread = static_cast<int>(threadIdx.x);
    double sum = 0;
    for (int i = thread; i < groups.size; i += static_cast<int>(block_threads)) sum += static_cast<double>(x[groups.at(block, i).value]);
    sum = sum_of_block(sum, parts);
    if (thread == 0) mean = sum / groups.size;
    __syncthreads();
    double squares = 0;
    for (int i = thread; i < groups.size; i += static_cast<int>(block_threads)) {
        const double deviation = static_cast<double>(x[groups.at(block, i).value]) - mean;
        squares += deviation * deviation;
    }
    squares = sum_of_block(squares, parts);
    if (thread == 0) {
        inverse = 1.0 / sqrt(squares / groups.size + static_cast<double>(groups.epsilon));
        statistics[2 * block] = static_cast<float>(mean);
        statistics[2 * block + 1] = static_cast<float>(inverse);
    }
    __syncthreads();
    const float centre = static_cast<float>(mean), factor = static_cast<float>(inverse);
    for (int i = thread; i < groups.size; i += static_cast<int>(block_threads)) {
        const auto [value, own] = groups.at(block, i);
        y[value] = (x[value] - centre) * factor * weight[own] + bias[own];
    }
}

__global__ void __launch_bounds__(block_threads)
    backward_kernel(Groups groups, const float* __restrict__ x, const float* __restrict__ weight, const float* __restrict__ statistics,
                    const float* dy, float* dx) {
    __shared__ double parts[block_threads / 32];
    __shared__ float mean_slope, mean_product;
    const std::size_t block = blockIdx.x;
    const int thread = static_cast<int>(threadIdx.x);
    const float mean = statistics[2 * block], inverse = statistics[2 * block + 1];
    double slopes = 0, products = 0;
    for (int i = thread; i < groups.size; i += static_cast<int>(block_threads)) {
        const auto [value, own] = groups.at(block, i);
        const float slope = dy[value] * weight[own];
        slopes += static_cast<double>(slope);
        products += static_cast<double>(slope * ((x[value] - mean) * inverse));
    }
    slopes = sum_of_block(slopes, parts);
    products = sum_of_block(products, parts);
    if (thread == 0) {
        mean_slope = static_cast<float>(slopes / groups.size);
        mean_product = static_cast<float>(products / groups.size);
    }
    __syncthreads();
    for (int i = thread; i < groups.size; i += static_cast<int>(block_threads)) {
        const auto [value, own] = groups.at(block, i);
        dx[value] = inverse * (dy[value] * weight[own] - mean_slope - (x[value] - mean) * inverse * mean_product);
    }
}

/// Block b: weight b. Values of a weight: one a sample if each feature has its own, else one a pixel and sample.
__global__ void __launch_bounds__(block_threads)
    weights_kernel(Groups groups, int weights, std::size_t values, const float* __restrict__ x, const float* __restrict__ statistics,
                   const float* __restrict__ dy, float scale, float decay, float* __restrict__ dweight, float* __restrict__ dbias) {
    __shared__ double parts[block_threads / 32];
    const int weight = static_cast<int>(blockIdx.x);
    const std::size_t sample_size = static_cast<std::size_t>(groups.size) * groups.groups;
    const int group = weight % groups.channels / groups.width;
    double of_weight = 0, of_bias = 0;
    for (std::size_t i = threadIdx.x; i < values; i += block_threads) {
        const std::size_t value = i * weights + weight, statistic = 2 * (value / sample_size * groups.groups + group);
        of_weight += static_cast<double>(dy[value] * ((x[value] - statistics[statistic]) * statistics[statistic + 1]));
        of_bias += static_cast<double>(dy[value]);
    }
    of_weight = sum_of_block(of_weight, parts);
    of_bias = sum_of_block(of_bias, parts);
    if (threadIdx.x != 0) return;
    dweight[weight] = (decay == 0.0F ? 0.0F : decay * dweight[weight]) + scale * static_cast<float>(of_weight);
    dbias[weight] = (decay == 0.0F ? 0.0F : decay * dbias[weight]) + scale * static_cast<float>(of_bias);
}

}  // namespace

void norm_forward(const NormShape& shape, std::size_t samples, const float* x, const float* weight, const float* bias, float* y,
                  float* statistics, const CudaStream& stream) {
    cuda::launch(forward_kernel, {static_cast<unsigned>(samples * shape.groups), block_threads}, stream, Groups(shape), x, weight, bias, y,
                 statistics);
}

void norm_backward(const NormShape& shape, std::size_t samples, const float* x, const float* weight, const float* statistics,
                   const float* dy, float* dx, float scale, float decay, float* dweight, float* dbias, const CudaStream& stream) {
    // Weights first: dx may take the place of dy.
    const std::size_t weights = shape.weights();
    cuda::launch(weights_kernel, {static_cast<unsigned>(weights), block_threads}, stream, Groups(shape), static_cast<int>(weights),
                 samples * shape.size() / weights, x, statistics, dy, scale, decay, dweight, dbias);
    if (dx == nullptr) return;
    cuda::launch(backward_kernel, {static_cast<unsigned>(samples * shape.groups), block_threads}, stream, Groups(shape), x, weight,
                 statistics, dy, dx);
}

}  // namespace silosum::kernels

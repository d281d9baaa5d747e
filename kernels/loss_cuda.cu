// Losses on a GPU: a warp for each sample (of the softmax) or a thread, then one block that adds up the samples. Sums in double.
#include <cmath>

#include "kernels/elementwise_cuda.cuh"
#include "kernels/loss.hpp"

namespace silosum::kernels {
namespace {

constexpr unsigned whole_warp = 0xFFFFFFFFU;

/// What one sample adds.
struct SampleLoss {
    double loss, weight;
    unsigned long long correct;
};

__global__ void __launch_bounds__(block_threads)
    cross_entropy_kernel(int batch, int classes, const float* logits, const std::int32_t* __restrict__ labels,
                         const float* __restrict__ class_weights, const float* __restrict__ scale, float* gradient,
                         SampleLoss* __restrict__ losses) {
    const int row = static_cast<int>(blockIdx.x * (block_threads / 32) + threadIdx.x / 32), lane = static_cast<int>(threadIdx.x % 32);
    if (row >= batch) return;  // the whole warp
    const float* z = logits + static_cast<std::size_t>(row) * classes;
    float largest = -INFINITY;
    int winner = classes;
    bool is_number = true;
    for (int k = lane; k < classes; k += 32) {
        is_number = is_number && z[k] == z[k];
        if (z[k] > largest || winner == classes) {
            largest = z[k];
            winner = k;
        }
    }
    for (int distance = 16; distance > 0; distance /= 2) {
        const float other = __shfl_xor_sync(whole_warp, largest, distance);
        const int other_winner = __shfl_xor_sync(whole_warp, winner, distance);
        const bool better = other > largest || (other == largest && other_winner < winner);
        largest = better ? other : largest;
        winner = better ? other_winner : winner;
    }
    double sum = 0;
    for (int k = lane; k < classes; k += 32) sum += static_cast<double>(expf(z[k] - largest));
    for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(whole_warp, sum, distance);
    if (__all_sync(whole_warp, is_number) == 0) sum = static_cast<double>(NAN);
    const int label = labels[row];
    const double weight = class_weights == nullptr ? 1.0 : static_cast<double>(class_weights[label]);
    if (lane == 0) {
        const double shifted = static_cast<double>(z[label]) - static_cast<double>(largest);
        losses[row] = {weight * (log(sum) - shifted), weight, winner == label ? 1ULL : 0ULL};
    }
    if (gradient == nullptr) return;
    __syncwarp();  // the gradient may take the place of the logits
    const float factor = static_cast<float>(static_cast<double>(*scale) * weight / sum);
    for (int k = lane; k < classes; k += 32) {
        const float exponential = expf(z[k] - largest);
        // softmax - 1 in double, without cancellation where the softmax is near 1.
        const float slope = k == label ? static_cast<float>(static_cast<double>(exponential) - sum) : exponential;
        gradient[static_cast<std::size_t>(row) * classes + k] = slope * factor;
    }
}

struct BinaryCrossEntropy {
    const float* logits;
    const std::int32_t* labels;
    const float* class_weights;
    const float* scale;
    float* gradient;
    SampleLoss* losses;
    __device__ void operator()(std::size_t r) const {
        const double z = static_cast<double>(logits[r]);
        const bool positive = labels[r] == 1;
        const double toward = positive ? -z : z;  // the loss is log(1 + e^toward)
        const double weight = class_weights == nullptr ? 1.0 : static_cast<double>(class_weights[labels[r]]);
        const double softplus = (toward > 0 ? toward : 0) + log1p(exp(-fabs(toward)));
        losses[r] = {weight * softplus, weight, (z > 0) == positive ? 1ULL : 0ULL};
        if (gradient == nullptr) return;
        const double wrong = 1.0 / (1.0 + exp(-toward));
        gradient[r] = static_cast<float>(static_cast<double>(*scale) * weight * (positive ? -wrong : wrong));
    }
};

struct SquaredError {
    int outputs;
    double share;
    const float* y;
    const float* targets;
    const float* scale;
    float* gradient;
    SampleLoss* losses;
    __device__ void operator()(std::size_t r) const {
        double loss = 0;
        for (std::size_t k = r * outputs; k < (r + 1) * outputs; ++k) {
            const double error = static_cast<double>(y[k]) - static_cast<double>(targets[k]);
            loss += error * error;
            if (gradient != nullptr) gradient[k] = static_cast<float>(static_cast<double>(*scale) * 2 * error * share);
        }
        losses[r] = {loss * share, 1.0, 0};
    }
};

/// One block: the sum over the samples in an order that depends on their number alone.
__global__ void __launch_bounds__(block_threads) add_losses_kernel(int batch, const SampleLoss* __restrict__ losses, LossSum* sum) {
    __shared__ double parts[block_threads / 32];
    __shared__ unsigned long long counts[block_threads / 32];
    SampleLoss own{0, 0, 0};
    for (int r = static_cast<int>(threadIdx.x); r < batch; r += static_cast<int>(block_threads)) {
        own.loss += losses[r].loss;
        own.weight += losses[r].weight;
        own.correct += losses[r].correct;
    }
    own = {sum_of_block(own.loss, parts), sum_of_block(own.weight, parts), sum_of_block(own.correct, counts)};
    if (threadIdx.x == 0) *sum = {own.loss, own.weight, own.correct};
}

__global__ void __launch_bounds__(block_threads)
    mean_scale_kernel(int batch, const std::int32_t* __restrict__ labels, const float* __restrict__ class_weights, float* scale) {
    __shared__ double parts[block_threads / 32];
    double sum = 0;
    for (int r = static_cast<int>(threadIdx.x); r < batch; r += static_cast<int>(block_threads)) {
        sum += class_weights == nullptr ? 1.0 : static_cast<double>(class_weights[labels[r]]);
    }
    sum = sum_of_block(sum, parts);
    if (threadIdx.x == 0) *scale = sum > 0 ? static_cast<float>(1 / sum) : 0.0F;
}

SampleLoss* losses_of(std::size_t batch, const CudaStream& stream) {
    return static_cast<SampleLoss*>(stream.workspace(batch * sizeof(SampleLoss)));
}

void add_losses(std::size_t batch, const SampleLoss* losses, LossSum* sum, const CudaStream& stream) {
    cuda::launch(add_losses_kernel, {1, block_threads}, stream, static_cast<int>(batch), losses, sum);
}

}  // namespace

void mean_scale(std::size_t batch, const std::int32_t* labels, const float* class_weights, float* scale, const CudaStream& stream) {
    cuda::launch(mean_scale_kernel, {1, block_threads}, stream, static_cast<int>(batch), labels, class_weights, scale);
}

void softmax_cross_entropy(std::size_t batch, std::size_t classes, const float* logits, const std::int32_t* labels,
                           const float* class_weights, const float* scale, float* gradient, LossSum* sum, const CudaStream& stream) {
    SampleLoss* losses = losses_of(batch, stream);
    cuda::launch(cross_entropy_kernel, {blocks_for(batch, block_threads / 32), block_threads}, stream, static_cast<int>(batch),
                 static_cast<int>(classes), logits, labels, class_weights, scale, gradient, losses);
    add_losses(batch, losses, sum, stream);
}

void binary_cross_entropy(std::size_t batch, const float* logits, const std::int32_t* labels, const float* class_weights,
                          const float* scale, float* gradient, LossSum* sum, const CudaStream& stream) {
    SampleLoss* losses = losses_of(batch, stream);
    for_each_index(batch, BinaryCrossEntropy{logits, labels, class_weights, scale, gradient, losses}, stream);
    add_losses(batch, losses, sum, stream);
}

void squared_error(std::size_t batch, std::size_t outputs, const float* y, const float* targets, const float* scale, float* gradient,
                   LossSum* sum, const CudaStream& stream) {
    SampleLoss* losses = losses_of(batch, stream);
    const double share = 1.0 / static_cast<double>(outputs);
    for_each_index(batch, SquaredError{static_cast<int>(outputs), share, y, targets, scale, gradient, losses}, stream);
    add_losses(batch, losses, sum, stream);
}

}  // namespace silosum::kernels

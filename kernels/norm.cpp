// Plain loops: eight running sums in double, each over every eighth value of a run, so that the compiler can use vectors and the order is
// fixed.
#include "kernels/norm.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/parallel.hpp"

namespace silosum::kernels {
namespace {

constexpr std::size_t lanes = 8;

/// Sum of value(index in the sample, index of its weight) over one group: channels [first, first + width) of every pixel.
template <class Value>
double sum_over_group(const NormShape& shape, std::size_t first, std::size_t width, const Value& value) {
    std::array<double, lanes> sums{};
    for (std::size_t pixel = 0; pixel < shape.pixels; ++pixel) {
        const std::size_t begin = pixel * shape.channels + first;
        const std::size_t weight = shape.per_feature ? begin : first;
        std::size_t c = 0;
        for (; c + lanes <= width; c += lanes) {
            for (std::size_t k = 0; k < lanes; ++k) sums[k] += value(begin + c + k, weight + c + k);
        }
        for (std::size_t k = 0; c + k < width; ++k) sums[k] += value(begin + c + k, weight + c + k);
    }
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/// body(index in the sample, index of its weight) for all values of one group.
template <class Body>
void over_group(const NormShape& shape, std::size_t first, std::size_t width, const Body& body) {
    for (std::size_t pixel = 0; pixel < shape.pixels; ++pixel) {
        const std::size_t begin = pixel * shape.channels + first;
        const std::size_t weight = shape.per_feature ? begin : first;
        for (std::size_t c = 0; c < width; ++c) body(begin + c, weight + c);
    }
}

struct Statistics {
    double mean;
    double inverse_deviation;
};

Statistics measure(const NormShape& shape, std::size_t first, std::size_t width, const float* x) {
    const auto count = static_cast<double>(shape.pixels * width);
    const double mean = sum_over_group(shape, first, width, [=](std::size_t i, std::size_t) { return static_cast<double>(x[i]); }) / count;
    const double squares = sum_over_group(shape, first, width, [=](std::size_t i, std::size_t) {
        const double deviation = static_cast<double>(x[i]) - mean;
        return deviation * deviation;
    });
    return {mean, 1.0 / std::sqrt(squares / count + static_cast<double>(shape.epsilon))};
}

std::size_t grain_of(std::size_t size) {
    return elementwise_grain / std::max<std::size_t>(1, size) + 1;
}

void forward_sample(const NormShape& shape, const float* x, const float* weight, const float* bias, float* y, float* statistics) {
    const std::size_t width = shape.channels / shape.groups;
    for (std::size_t group = 0; group < shape.groups; ++group) {
        const Statistics of_group = measure(shape, group * width, width, x);
        const auto mean = static_cast<float>(of_group.mean);
        const auto inverse = static_cast<float>(of_group.inverse_deviation);
        statistics[2 * group] = mean;
        statistics[2 * group + 1] = inverse;
        over_group(shape, group * width, width,
                   [=](std::size_t i, std::size_t w) { y[i] = (x[i] - mean) * inverse * weight[w] + bias[w]; });
    }
}

/// dx = inverse deviation * (g - mean(g) - normalised x * mean(g * normalised x)) with g = dy * weight.
void backward_sample(const NormShape& shape, const float* x, const float* weight, const float* statistics, const float* dy, float* dx) {
    const std::size_t width = shape.channels / shape.groups;
    const auto count = static_cast<double>(shape.pixels * width);
    for (std::size_t group = 0; group < shape.groups; ++group) {
        const float mean = statistics[2 * group];
        const float inverse = statistics[2 * group + 1];
        const std::size_t first = group * width;
        const auto slope = [=](std::size_t i, std::size_t w) { return static_cast<double>(dy[i] * weight[w]); };
        const auto slope_by_x = [=](std::size_t i, std::size_t w) {
            return static_cast<double>(dy[i] * weight[w] * ((x[i] - mean) * inverse));
        };
        const auto mean_slope = static_cast<float>(sum_over_group(shape, first, width, slope) / count);
        const auto mean_product = static_cast<float>(sum_over_group(shape, first, width, slope_by_x) / count);
        over_group(shape, first, width, [=](std::size_t i, std::size_t w) {
            dx[i] = inverse * (dy[i] * weight[w] - mean_slope - (x[i] - mean) * inverse * mean_product);
        });
    }
}

/// Adds what one sample gives to the gradients of weights [begin, end), of which there are at most `block`.
constexpr std::size_t block = 64;
void add_weight_gradient(const NormShape& shape, std::size_t begin, std::size_t end, const float* x, const float* statistics,
                         const float* dy, float scale, float* dweight, float* dbias) {
    std::array<double, block> of_weight{};
    std::array<double, block> of_bias{};
    std::array<float, block> means;
    std::array<float, block> inverses;
    const std::size_t width = shape.channels / shape.groups;
    for (std::size_t w = begin; w < end; ++w) {
        const std::size_t group = w % shape.channels / width;
        means[w - begin] = statistics[2 * group];
        inverses[w - begin] = statistics[2 * group + 1];
    }
    for (std::size_t first = begin; first < shape.size(); first += shape.weights()) {  // once if each feature has its own weight
        for (std::size_t k = 0; k < end - begin; ++k) {
            of_weight[k] += static_cast<double>(dy[first + k] * ((x[first + k] - means[k]) * inverses[k]));
            of_bias[k] += static_cast<double>(dy[first + k]);
        }
    }
    for (std::size_t w = begin; w < end; ++w) {
        dweight[w] += scale * static_cast<float>(of_weight[w - begin]);
        dbias[w] += scale * static_cast<float>(of_bias[w - begin]);
    }
}

}  // namespace

void norm_forward(const NormShape& shape, std::size_t samples, const float* x, const float* weight, const float* bias, float* y,
                  float* statistics, const Threads& threads) {
    in_parallel(samples, grain_of(shape.size()), threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t s = begin; s < end; ++s) {
            forward_sample(shape, x + s * shape.size(), weight, bias, y + s * shape.size(), statistics + s * shape.groups * 2);
        }
    });
}

void norm_backward(const NormShape& shape, std::size_t samples, const float* x, const float* weight, const float* statistics,
                   const float* dy, float* dx, float scale, float decay, float* dweight, float* dbias, const Threads& threads) {
    // Weights first: dx may take the place of dy.
    const std::size_t blocks = (shape.weights() + block - 1) / block;
    in_parallel(blocks, grain_of(samples * shape.size() / blocks), threads, [&](std::size_t first_block, std::size_t last_block) {
        for (std::size_t begin = first_block * block; begin < std::min(shape.weights(), last_block * block); begin += block) {
            const std::size_t end = std::min(shape.weights(), begin + block);
            for (std::size_t w = begin; w < end; ++w) {
                dweight[w] = decay == 0.0F ? 0.0F : decay * dweight[w];
                dbias[w] = decay == 0.0F ? 0.0F : decay * dbias[w];
            }
            for (std::size_t s = 0; s < samples; ++s) {
                const std::size_t at = s * shape.size();
                add_weight_gradient(shape, begin, end, x + at, statistics + s * shape.groups * 2, dy + at, scale, dweight, dbias);
            }
        }
    });
    if (dx == nullptr) return;
    in_parallel(samples, grain_of(shape.size()), threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t s = begin; s < end; ++s) {
            const std::size_t at = s * shape.size();
            backward_sample(shape, x + at, weight, statistics + s * shape.groups * 2, dy + at, dx + at);
        }
    });
}

}  // namespace silosum::kernels

// Activations and dropout on a GPU, a value (of dropout: a block of four random words) a thread.
#include <cmath>

#include "kernels/activation.hpp"
#include "kernels/elementwise_cuda.cuh"
#include "kernels/philox_cuda.cuh"

namespace silosum::kernels {
namespace {

__device__ float sigmoid(float x) {
    return 1.0F / (1.0F + expf(-x));
}

// See activation.cpp for the formulas and for the bound of 64.
constexpr float gelu_slope = 1.59576912F;
constexpr float gelu_cubic = 0.044715F;
__device__ float bounded(float x) {
    return x < -64.0F ? -64.0F : x > 64.0F ? 64.0F : x;
}
__device__ float gelu_gate(float x) {
    return sigmoid(gelu_slope * (x * __fmaf_rn(gelu_cubic, x * x, 1.0F)));
}

struct Relu {
    __device__ float operator()(float x) const { return x < 0.0F ? 0.0F : x; }  // NaN stays NaN
};
struct Tanh {
    __device__ float operator()(float x) const { return tanhf(x); }
};
struct Sigmoid {
    __device__ float operator()(float x) const { return sigmoid(x); }
};
struct Gelu {
    __device__ float operator()(float x) const { return x * gelu_gate(bounded(x)); }
};

struct ReluGradient {
    __device__ float operator()(float y, float dy) const { return y > 0.0F ? dy : 0.0F; }
};
struct TanhGradient {
    __device__ float operator()(float y, float dy) const { return dy * ((1.0F - y) * (1.0F + y)); }
};
struct SigmoidGradient {
    __device__ float operator()(float y, float dy) const { return dy * (y * (1.0F - y)); }
};
struct GeluGradient {
    __device__ float operator()(float x, float dy) const {
        const float at = bounded(x), gate = gelu_gate(at);
        const float slope = gelu_slope * __fmaf_rn(3 * gelu_cubic, at * at, 1.0F);
        return dy * __fmaf_rn(at, gate * (1.0F - gate) * slope, gate);
    }
};

template <class F>
struct Map {
    const float* x;
    float* y;
    __device__ void operator()(std::size_t i) const { y[i] = F()(x[i]); }
};
template <class F>
struct MapTwo {
    const float* x;
    const float* y;
    float* z;
    __device__ void operator()(std::size_t i) const { z[i] = F()(x[i], y[i]); }
};

struct DropoutWords {
    std::size_t n;
    std::uint64_t first_block;
    std::size_t skipped;  // words of the first block before the first value's
    Philox random;
    unsigned threshold;
    float scale;
    const float* x;
    float* y;
    __device__ void operator()(std::size_t block) const {
        const uint4 words = random.block(first_block + block);
        const unsigned word[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
        for (std::size_t j = 0; j < 4; ++j) {
            const std::size_t at = block * 4 + j;
            if (at < skipped || at - skipped >= n) continue;
            y[at - skipped] = word[j] < threshold ? 0.0F : x[at - skipped] * scale;
        }
    }
};

}  // namespace

void relu_forward(std::size_t n, const float* x, float* y, const CudaStream& stream) {
    for_each_index(n, Map<Relu>{x, y}, stream);
}
void relu_backward(std::size_t n, const float* y, const float* dy, float* dx, const CudaStream& stream) {
    for_each_index(n, MapTwo<ReluGradient>{y, dy, dx}, stream);
}
void tanh_forward(std::size_t n, const float* x, float* y, const CudaStream& stream) {
    for_each_index(n, Map<Tanh>{x, y}, stream);
}
void tanh_backward(std::size_t n, const float* y, const float* dy, float* dx, const CudaStream& stream) {
    for_each_index(n, MapTwo<TanhGradient>{y, dy, dx}, stream);
}
void sigmoid_forward(std::size_t n, const float* x, float* y, const CudaStream& stream) {
    for_each_index(n, Map<Sigmoid>{x, y}, stream);
}
void sigmoid_backward(std::size_t n, const float* y, const float* dy, float* dx, const CudaStream& stream) {
    for_each_index(n, MapTwo<SigmoidGradient>{y, dy, dx}, stream);
}
void gelu_forward(std::size_t n, const float* x, float* y, const CudaStream& stream) {
    for_each_index(n, Map<Gelu>{x, y}, stream);
}
void gelu_backward(std::size_t n, const float* x, const float* dy, float* dx, const CudaStream& stream) {
    for_each_index(n, MapTwo<GeluGradient>{x, dy, dx}, stream);
}

void dropout(std::size_t n, const Random& random, std::uint64_t first, float rate, const float* x, float* y, const CudaStream& stream) {
    const std::size_t skipped = first % 4;
    const DropoutWords words{n,
                             first / 4,
                             skipped,
                             Philox(random),
                             static_cast<unsigned>(std::ceil(static_cast<double>(rate) * 0x1p32)),
                             1.0F / (1.0F - rate),
                             x,
                             y};
    for_each_index(n == 0 ? 0 : (skipped + n + 3) / 4, words, stream);
}

}  // namespace silosum::kernels

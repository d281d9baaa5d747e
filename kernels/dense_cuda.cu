// Dense layers on a GPU: each pass is one matrix product.
#include "kernels/dense.hpp"
#include "kernels/gemm_cuda.cuh"

namespace silosum::kernels {
namespace {

/// A: rows of a row-major matrix.
struct MatrixRows {
    static constexpr bool k_is_near = true;
    const float* values;
    int depth;
    using Row = const float*;
    __device__ Row row(int m) const { return values + static_cast<std::size_t>(m) * depth; }
    __device__ float at(Row row, int k) const { return row[k]; }
};

/// A: columns of a row-major matrix (depth, width), and a last row of ones, which adds up B itself: the gradient of the bias.
struct ColumnsAndOnes {
    static constexpr bool k_is_near = false;
    const float* values;
    int width;
    using Row = int;
    __device__ Row row(int m) const { return m; }
    __device__ float at(Row m, int k) const { return m < width ? values[static_cast<std::size_t>(k) * width + m] : 1.0F; }
};

/// B: packed weights turned over: row k is output k, column n is input n.
struct TurnedWeights {
    const float* packed;
    int inputs;
    __device__ gemm::Four four(int k, int n) const {
        const float* output = packed + static_cast<std::size_t>(k / 16) * inputs * 16 + k % 16;
        gemm::Four result;
        for (int j = 0; j < 4; ++j) result.v[j] = output[static_cast<std::size_t>(min(n + j, inputs - 1)) * 16];
        return result;
    }
};

}  // namespace

void dense_forward(const DenseShape& shape, std::size_t batch, const float* x, const float* packed, const float* bias, float* y, bool relu,
                   const CudaStream& stream) {
    const int in = static_cast<int>(shape.in), out = static_cast<int>(shape.out);
    gemm::product(batch, shape.out, shape.in, 0, MatrixRows{x, in},
                  gemm::PackedColumns{packed, in, static_cast<int>(shape.panels()) * 16}, gemm::StoreOutput{y, bias, out, relu}, stream);
}

void dense_backward_input(const DenseShape& shape, std::size_t batch, const float* dy, const float* packed, const float* relu_output,
                          float* dx, const CudaStream& stream) {
    const int in = static_cast<int>(shape.in), out = static_cast<int>(shape.out);
    gemm::product(batch, shape.in, shape.out, 0, MatrixRows{dy, out}, TurnedWeights{packed, in}, gemm::StoreInputGradient{dx, relu_output, in},
                  stream);
}

void dense_backward_weights(const DenseShape& shape, std::size_t batch, const float* x, const float* dy, float scale, float decay,
                            float* packed, float bias_decay, float* bias, const CudaStream& stream) {
    const int in = static_cast<int>(shape.in), out = static_cast<int>(shape.out);
    const gemm::StoreWeights store{packed, bias, in, out, scale, decay, bias_decay};
    gemm::product(shape.in + 1, shape.panels() * panel_width, batch, 0, ColumnsAndOnes{x, in}, gemm::PlainColumns{dy, out}, store, stream);
}

}  // namespace silosum::kernels

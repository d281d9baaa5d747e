// Matrix products of the CUDA kernels: C = A B in tiles, each thread with a block of results in registers. What A and B are (rows of a
// batch, pixels under a convolution's kernel, packed weights) and what becomes of a result is said by small structs.
// Every result is one sequence of fused multiply-adds in ascending k, so it depends neither on the tiling nor on the other rows; in TF32 it
// is one of products of tensor cores, of eight k each.
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/cuda.cuh"
#include "kernels/dense.hpp"
#include "kernels/tensor_cores_cuda.cuh"

namespace silosum::kernels::gemm {

/// A block of threads makes m x n results, k products at a time; a thread makes own_m x own_n of them, own_n a multiple of 4.
template <int m_, int n_, int k_, int own_m_, int own_n_>
struct Tiling {
    static constexpr bool in_tf32 = false;
    static constexpr int m = m_, n = n_, k = k_, own_m = own_m_, own_n = own_n_;
    static constexpr int threads_n = n / own_n;
    static constexpr int threads = m / own_m * threads_n;
    static constexpr int blocks = (own_m * own_n >= 64 ? 512 : 768) / threads;  // a multiprocessor holds them: bounds the registers
    static constexpr int a_loads = m * k / threads;
    static constexpr int b_loads = k * n / 4 / threads;  // of four floats
    static constexpr int a_gap = 4, b_gap = 0;           // behind a row of a tile: keeps stores of neighbouring k apart
    static_assert(a_loads * threads == m * k && b_loads * threads * 4 == k * n && own_n % 4 == 0);
};
using FewRows = Tiling<16, 64, 16, 2, 4>;
using ManyRows = Tiling<64, 64, 16, 4, 4>;
using Wide = Tiling<128, 128, 8, 8, 8>;

/// The tiling of tensor cores: a warp makes warp_m x warp_n results in pieces of 16 x 8, of which a thread has four each.
struct Tensor {
    static constexpr bool in_tf32 = true;
    static constexpr int m = 64, n = 64, k = 16, warp_m = 32, warp_n = 32, own_m = warp_m / 16, own_n = warp_n / 8 * 4;
    static constexpr int threads = m / warp_m * (n / warp_n) * 32;
    static constexpr int blocks = 4;
    static constexpr int a_loads = m * k / threads, b_loads = k * n / 4 / threads;
    static constexpr int a_gap = 8, b_gap = 8;  // the four rows that a warp reads at once lie in different banks
};

/// A thread's place in the products of its warp: see multiply_add_tf32.
struct TensorLane {
    int group, place;
    int row, column;  // of the warp's results in the tile
    __device__ explicit TensorLane(int thread)
        : group(thread % 32 / 4),
          place(thread % 4),
          row(thread / 32 / (Tensor::n / Tensor::warp_n) * Tensor::warp_m),
          column(thread / 32 % (Tensor::n / Tensor::warp_n) * Tensor::warp_n) {}

    __device__ void add(const float (*tile_a)[Tensor::m + Tensor::a_gap], const float (*tile_b)[Tensor::n + Tensor::b_gap],
                        float (&sum)[Tensor::own_m][Tensor::own_n / 4][4]) const {
#pragma unroll
        for (int step = 0; step < Tensor::k; step += 8) {
            float left[Tensor::own_m][4];
#pragma unroll
            for (int i = 0; i < Tensor::own_m; ++i) {
#pragma unroll
                for (int f = 0; f < 4; ++f) left[i][f] = tile_a[step + place + f / 2 * 4][row + 16 * i + group + f % 2 * 8];
            }
#pragma unroll
            for (int j = 0; j < Tensor::own_n / 4; ++j) {
                const int n = column + 8 * j + group;
                const float right[2] = {tile_b[step + place][n], tile_b[step + place + 4][n]};
#pragma unroll
                for (int i = 0; i < Tensor::own_m; ++i) multiply_add_tf32(sum[i][j], left[i], right);
            }
        }
    }
    /// use(m, n, sum) for each of the thread's results.
    template <class Use>
    __device__ void for_each(const float (&sum)[Tensor::own_m][Tensor::own_n / 4][4], const Use& use) const {
#pragma unroll
        for (int i = 0; i < Tensor::own_m; ++i) {
#pragma unroll
            for (int j = 0; j < Tensor::own_n / 4; ++j) {
#pragma unroll
                for (int f = 0; f < 4; ++f) use(row + 16 * i + group + f / 2 * 8, column + 8 * j + 2 * place + f % 2, sum[i][j][f]);
            }
        }
    }
};

/// Four neighbouring columns of B in one row.
struct alignas(16) Four {
    float v[4];
};

/// B as packed weights: packed[n / 16][k][16].
struct PackedColumns {
    const float* packed;
    int depth;    // all k
    int columns;  // with padding: whole panels
    __device__ Four four(int k, int n) const {
        const int at = min(n, columns - 4);  // columns beyond the last are worked out and thrown away
        return *reinterpret_cast<const Four*>(packed + (static_cast<std::size_t>(at / 16) * depth + k) * 16 + at % 16);
    }
};

/// B as a row-major matrix (k, columns) whose rows are not aligned.
struct PlainColumns {
    const float* values;
    int columns;
    __device__ Four four(int k, int n) const {
        const float* row = values + static_cast<std::size_t>(k) * columns + n;
        Four result;
        for (int j = 0; j < 4; ++j) result.v[j] = n + j < columns ? row[j] : 0.0F;
        return result;
    }
};

/// Results of a layer, rows of `columns` values.
struct StoreOutput {
    float* y;
    const float* bias;
    int columns;
    bool relu;
    __device__ void operator()(int m, int n, float sum) const {
        const float value = sum + bias[n];
        y[static_cast<std::size_t>(m) * columns + n] = relu && value < 0.0F ? 0.0F : value;
    }
};

/// Gradients of a layer's input; relu_output may be null, else they are 0 where it is not positive.
struct StoreInputGradient {
    float* dx;
    const float* relu_output;
    int columns;
    __device__ void operator()(int m, int n, float sum) const {
        const std::size_t at = static_cast<std::size_t>(m) * columns + n;
        dx[at] = relu_output == nullptr || relu_output[at] > 0.0F ? sum : 0.0F;
    }
};

/// Gradients of packed weights: row m < depth is a row of the panels, row `depth` the bias. Columns beyond the last output are padding,
/// which stays 0. target = decay * old + scale * sum; decay 0 ignores what was there.
struct StoreWeights {
    float* packed;
    float* bias;
    int depth;
    int outputs;
    float scale;
    float decay;
    float bias_decay;
    __device__ void operator()(int m, int n, float sum) const {
        const float own_decay = m < depth ? decay : bias_decay;
        if (m == depth && n >= outputs) return;
        float* target = m < depth ? packed + (static_cast<std::size_t>(n / 16) * depth + m) * 16 + n % 16 : bias + n;
        const float old = own_decay == 0.0F ? 0.0F : own_decay * *target;
        *target = n < outputs ? __fmaf_rn(scale, sum, old) : 0.0F;
    }
};

/// A: rows of a struct with
///     Row row(int m): what is known of row m, worked out once;   float at(Row, int k);   k_is_near: neighbours in k are neighbours in memory.
/// store(m, n, sum) is called for each m < rows, n < columns. Block z of the grid takes k in [z * part, (z + 1) * part).
template <class T, class A, class B, class Store>
__global__ void __launch_bounds__(T::threads, T::blocks) product_kernel(int rows, int columns, int depth, int part, A a, B b, Store store) {
    __align__(16) __shared__ float tile_a[2][T::k][T::m + T::a_gap];  // turned
    __align__(16) __shared__ float tile_b[2][T::k][T::n + T::b_gap];
    const int thread = static_cast<int>(threadIdx.x);
    const int first_m = static_cast<int>(blockIdx.x) * T::m, first_n = static_cast<int>(blockIdx.y) * T::n;
    const int first_k = static_cast<int>(blockIdx.z) * part, end_k = min(depth, first_k + part);

    // A thread loads values of one row of A only, whose place it works out once.
    constexpr int k_threads = A::k_is_near ? T::k / T::a_loads : T::threads / T::m;
    static_assert(k_threads * T::a_loads == T::k && k_threads * T::m == T::threads);
    const int load_m = A::k_is_near ? thread / k_threads : thread % T::m;
    const auto load_k = [=](int load) { return A::k_is_near ? thread % k_threads * T::a_loads + load : thread / T::m + load * k_threads; };
    const typename A::Row row = a.row(min(first_m + load_m, rows - 1));

    float next_a[T::a_loads];
    Four next_b[T::b_loads];
    const auto fetch = [&](int k) {
#pragma unroll
        for (int load = 0; load < T::a_loads; ++load) {
            const int at = k + load_k(load);
            next_a[load] = at < end_k ? a.at(row, at) : 0.0F;
        }
#pragma unroll
        for (int load = 0; load < T::b_loads; ++load) {
            const int at = (thread + load * T::threads) * 4;
            next_b[load] = k + at / T::n < end_k ? b.four(k + at / T::n, first_n + at % T::n) : Four{};
        }
    };
    const auto taken = [](float value) {
        if constexpr (T::in_tf32) return rounded_to_tf32(value);
        return value;
    };
    const auto keep = [&](int buffer) {
#pragma unroll
        for (int load = 0; load < T::a_loads; ++load) tile_a[buffer][load_k(load)][load_m] = taken(next_a[load]);
#pragma unroll
        for (int load = 0; load < T::b_loads; ++load) {
            const int at = (thread + load * T::threads) * 4;
            *reinterpret_cast<float4*>(&tile_b[buffer][at / T::n][at % T::n]) =
                make_float4(taken(next_b[load].v[0]), taken(next_b[load].v[1]), taken(next_b[load].v[2]), taken(next_b[load].v[3]));
        }
    };

    // A thread's results come in fours.
    float sum[T::own_m][T::own_n / 4][4] = {};
    constexpr int fours = T::own_n / 4;
    // Of the usual units they are neighbours; the fours lie n / fours apart, so that a warp reads whole lines of the tile.
    constexpr int four_stride = T::n / fours;
    const int own_row = thread / (T::n / T::own_n) * T::own_m, own_column = thread % (T::n / T::own_n) * 4;
    fetch(first_k);
    keep(0);
    __syncthreads();
    int buffer = 0;
    for (int k = first_k; k < end_k; k += T::k) {
        const bool more = k + T::k < end_k;
        if (more) fetch(k + T::k);  // on its way while this tile is used
        if constexpr (T::in_tf32) {
            TensorLane(thread).add(tile_a[buffer], tile_b[buffer], sum);
        } else {
#pragma unroll
            for (int step = 0; step < T::k; ++step) {
                float left[T::own_m], right[T::own_n];
#pragma unroll
                for (int i = 0; i < T::own_m; ++i) left[i] = tile_a[buffer][step][own_row + i];
#pragma unroll
                for (int f = 0; f < fours; ++f) {
                    const float4 four = *reinterpret_cast<const float4*>(&tile_b[buffer][step][own_column + f * four_stride]);
                    right[4 * f] = four.x;
                    right[4 * f + 1] = four.y;
                    right[4 * f + 2] = four.z;
                    right[4 * f + 3] = four.w;
                }
#pragma unroll
                for (int i = 0; i < T::own_m; ++i) {
#pragma unroll
                    for (int j = 0; j < T::own_n; ++j) sum[i][j / 4][j % 4] = __fmaf_rn(left[i], right[j], sum[i][j / 4][j % 4]);
                }
            }
        }
        if (more) keep(1 - buffer);
        __syncthreads();
        buffer = 1 - buffer;
    }
    if constexpr (T::in_tf32) {
        TensorLane(thread).for_each(sum, [&](int own_m, int own_n, float value) {
            const int m = first_m + own_m, n = first_n + own_n;
            if (m < rows && n < columns) store(m, n, value);
        });
    } else {
#pragma unroll
        for (int i = 0; i < T::own_m; ++i) {
            const int m = first_m + own_row + i;
            if (m >= rows) break;
#pragma unroll
            for (int j = 0; j < T::own_n; ++j) {
                const int n = first_n + j / 4 * four_stride + own_column + j % 4;
                if (n < columns) store(m, n, sum[i][j / 4][j % 4]);
            }
        }
    }
}

inline unsigned tiles(std::size_t n, int tile) {
    return static_cast<unsigned>((n + static_cast<std::size_t>(tile) - 1) / static_cast<std::size_t>(tile));
}

template <class T, class A, class B, class Store>
void product_in(std::size_t rows, std::size_t columns, std::size_t depth, std::size_t part, const A& a, const B& b, const Store& store,
                const CudaStream& stream) {
    const dim3 blocks(tiles(rows, T::m), tiles(columns, T::n), part == 0 ? 1 : tiles(depth, static_cast<int>(part)));
    cuda::launch(product_kernel<T, A, B, Store>, {blocks, T::threads}, stream, static_cast<int>(rows), static_cast<int>(columns),
                 static_cast<int>(depth), static_cast<int>(part == 0 ? depth : part), a, b, store);
}

/// All results, in tiles that suit the shape. part: see product_kernel; 0: all k at once, and store is called also for depth 0.
template <class A, class B, class Store>
void product(std::size_t rows, std::size_t columns, std::size_t depth, std::size_t part, const A& a, const B& b, const Store& store,
             const CudaStream& stream) {
    if (rows == 0 || columns == 0) return;
    constexpr std::size_t most = 2147483647 - 1024, most_columns = 65535 * std::size_t{64};  // ints, and blocks along y
    if (rows > most || depth > most || columns > most_columns) {
        cuda::fail("a product of " + std::to_string(rows) + " x " + std::to_string(columns) + " x " + std::to_string(depth) +
                   " is more than the GPU kernels take: lower local.batch_size, use a smaller layer, or set run.device = cpu");
    }
    if (stream.uses_tf32()) return product_in<Tensor>(rows, columns, depth, part, a, b, store, stream);
    if (rows <= 64) return product_in<FewRows>(rows, columns, depth, part, a, b, store, stream);
    if (columns <= 64) return product_in<ManyRows>(rows, columns, depth, part, a, b, store, stream);
    product_in<Wide>(rows, columns, depth, part, a, b, store, stream);
}

}  // namespace silosum::kernels::gemm

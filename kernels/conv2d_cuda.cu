// Convolutions on a GPU as matrix products whose matrices are never written down: a row is an output pixel, and its k-th value is read
// from the image under the kernel.
#include <algorithm>

#include "kernels/conv2d.hpp"
#include "kernels/gemm_cuda.cuh"

namespace silosum::kernels {
namespace {

/// Extents as the kernels need them, in ints.
struct Extents {
    int channels, width, kernel_height, run;     // run: neighbouring floats under one row of the kernel
    int out_height, out_width, out_channels;
    int stride, padded_row;                      // floats of a row of the padded image
    std::size_t padded_size;

    explicit Extents(const ConvShape& shape)
        : channels(static_cast<int>(shape.in_channels)),
          width(static_cast<int>(shape.width)),
          kernel_height(static_cast<int>(shape.kernel_height)),
          run(static_cast<int>(shape.kernel_width * shape.in_channels)),
          out_height(static_cast<int>(shape.out_height())),
          out_width(static_cast<int>(shape.out_width())),
          out_channels(static_cast<int>(shape.out_channels)),
          stride(static_cast<int>(shape.stride)),
          padded_row(static_cast<int>((shape.width + 2 * shape.padding) * shape.in_channels)),
          padded_size(shape.padded_size()) {}

    /// Offset in the padded images of the corner under output pixel `pixel`, counted over all samples.
    [[nodiscard]] __device__ std::size_t corner(int pixel) const {
        const int x = pixel % out_width, row = pixel / out_width;
        return static_cast<std::size_t>(row / out_height) * padded_size +
               static_cast<std::size_t>(row % out_height * stride * padded_row + x * stride * channels);
    }
    /// Offset of tap (kernel row, kernel column, channel) from the corner.
    [[nodiscard]] __device__ int tap(int k) const { return k / run * padded_row + k % run; }
};

/// A: row = output pixel, k = tap.
struct Patches {
    static constexpr bool k_is_near = true;
    const float* padded;
    Extents extents;
    using Row = const float*;
    __device__ Row row(int m) const { return padded + extents.corner(m); }
    __device__ float at(Row row, int k) const { return row[extents.tap(k)]; }
};

/// A: row = tap, k = output pixel; the last row is ones (see dense_cuda.cu).
struct TurnedPatches {
    static constexpr bool k_is_near = false;
    const float* padded;
    int taps;
    Extents extents;
    using Row = int;  // offset of the tap, -1 for the ones
    __device__ Row row(int m) const { return m < taps ? extents.tap(m) : -1; }
    __device__ float at(Row row, int k) const { return row < 0 ? 1.0F : padded[extents.corner(k) + static_cast<std::size_t>(row)]; }
};

/// A: row = input pixel, k = (row and column of the flipped kernel, output channel): the gradient that flows back through it.
struct GradientPatches {
    static constexpr bool k_is_near = true;
    const float* dy;
    int height, width;                     // of the input
    int out_height, out_width, channels;   // of the output
    int kernel_width, before_y, before_x;  // zeros before the image: kernel - 1 - padding
    int stride;
    struct Row {
        const float* image;  // of dy
        int y, x;
    };
    __device__ Row row(int m) const {
        const int pixel = m % (height * width), sample = m / (height * width);
        return {dy + static_cast<std::size_t>(sample) * (out_height * out_width * channels), pixel / width - before_y, pixel % width - before_x};
    }
    __device__ float at(const Row& row, int k) const {
        const int tap = k / channels, y = row.y + tap / kernel_width, x = row.x + tap % kernel_width;
        if (y < 0 || x < 0 || y % stride != 0 || x % stride != 0) return 0.0F;
        const int out_y = y / stride, out_x = x / stride;
        if (out_y >= out_height || out_x >= out_width) return 0.0F;
        return row.image[(out_y * out_width + out_x - tap) * channels + k];
    }
};

constexpr unsigned block = 256;

/// Sums over one part of the pixels.
struct StorePart {
    float* parts;
    int rows, columns;
    __device__ void operator()(int m, int n, float sum) const {
        parts[(static_cast<std::size_t>(blockIdx.z) * rows + m) * columns + n] = sum;
    }
};

__global__ void __launch_bounds__(block) add_parts_kernel(const float* __restrict__ parts, int count, int rows, int columns, gemm::StoreWeights store) {
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= rows * columns) return;
    float sum = 0.0F;
    for (int part = 0; part < count; ++part) sum += parts[static_cast<std::size_t>(part) * rows * columns + i];
    store(i / columns, i % columns, sum);
}

/// One value of the flipped weights a thread; see conv2d_flip in conv2d.cpp.
__global__ void __launch_bounds__(block) flip_kernel(const float* __restrict__ packed, float* __restrict__ flipped, int in_channels, int out_channels, int kernel_size,
                            int total) {
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= total) return;
    const int out = i / 16 % out_channels, place = i / 16 / out_channels;
    const int channel = place / kernel_size * 16 + i % 16, turned = kernel_size - 1 - place % kernel_size;
    const int taps = kernel_size * in_channels;
    const std::size_t from = (static_cast<std::size_t>(out / 16) * taps + turned * in_channels + channel) * 16 + out % 16;
    flipped[i] = channel < in_channels ? packed[from] : 0.0F;
}

__global__ void __launch_bounds__(block) pad_kernel(const float* __restrict__ x, float* __restrict__ padded, int height, int row, int side, int border,
                           std::size_t total) {
    const std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= total) return;
    const int padded_row = row + 2 * side, padded_height = height + 2 * border;
    const int column = static_cast<int>(i % padded_row) - side;
    const std::size_t line = i / padded_row;
    const int y = static_cast<int>(line % padded_height) - border;
    const bool inside = column >= 0 && column < row && y >= 0 && y < height;
    padded[i] = inside ? x[(line / padded_height * height + static_cast<std::size_t>(y)) * row + static_cast<std::size_t>(column)] : 0.0F;
}

}  // namespace

void conv2d_flip(const ConvShape& shape, const float* packed, float* flipped, const CudaStream& stream) {
    const std::size_t total = shape.flipped_size();
    cuda::launch(flip_kernel, {gemm::tiles(total, block), block}, stream, packed, flipped, static_cast<int>(shape.in_channels),
                 static_cast<int>(shape.out_channels), static_cast<int>(shape.kernel_height * shape.kernel_width), static_cast<int>(total));
}

void conv2d_pad(const ConvShape& shape, std::size_t samples, const float* x, float* padded, const CudaStream& stream) {
    const std::size_t total = samples * shape.padded_size();
    cuda::launch(pad_kernel, {gemm::tiles(total, block), block}, stream, x, padded, static_cast<int>(shape.height),
                 static_cast<int>(shape.width * shape.in_channels), static_cast<int>(shape.padding * shape.in_channels),
                 static_cast<int>(shape.padding), total);
}

void conv2d_forward(const ConvShape& shape, std::size_t samples, const float* padded, const float* packed, const float* bias, float* y,
                    bool relu, const CudaStream& stream) {
    const gemm::PackedColumns weights{packed, static_cast<int>(shape.taps()), static_cast<int>(shape.panels() * panel_width)};
    gemm::product(samples * shape.out_height() * shape.out_width(), shape.out_channels, shape.taps(), 0, Patches{padded, Extents(shape)},
                  weights, gemm::StoreOutput{y, bias, static_cast<int>(shape.out_channels), relu}, stream);
}

void conv2d_backward_input(const ConvShape& shape, std::size_t samples, const float* dy, const float* flipped, const float* relu_output,
                           float* /*scratch*/, float* dx, const CudaStream& stream) {
    const auto depth = shape.kernel_height * shape.kernel_width * shape.out_channels;
    const auto panels = (shape.in_channels + panel_width - 1) / panel_width;
    const GradientPatches gradient{dy,
                                   static_cast<int>(shape.height),
                                   static_cast<int>(shape.width),
                                   static_cast<int>(shape.out_height()),
                                   static_cast<int>(shape.out_width()),
                                   static_cast<int>(shape.out_channels),
                                   static_cast<int>(shape.kernel_width),
                                   static_cast<int>(shape.kernel_height - 1 - shape.padding),
                                   static_cast<int>(shape.kernel_width - 1 - shape.padding),
                                   static_cast<int>(shape.stride)};
    const gemm::PackedColumns weights{flipped, static_cast<int>(depth), static_cast<int>(panels * panel_width)};
    gemm::product(samples * shape.height * shape.width, shape.in_channels, depth, 0, gradient, weights,
                  gemm::StoreInputGradient{dx, relu_output, static_cast<int>(shape.in_channels)}, stream);
}

void conv2d_backward_weights(const ConvShape& shape, std::size_t samples, const float* padded, const float* dy, float scale, float decay,
                             float* packed, float bias_decay, float* bias, const CudaStream& stream) {
    const std::size_t pixels = samples * shape.out_height() * shape.out_width();
    const std::size_t rows = shape.taps() + 1, columns = shape.panels() * panel_width;
    const int taps = static_cast<int>(shape.taps()), outputs = static_cast<int>(shape.out_channels);
    const gemm::StoreWeights store{packed, bias, taps, outputs, scale, decay, bias_decay};
    const TurnedPatches patches{padded, taps, Extents(shape)};
    const gemm::PlainColumns gradient{dy, outputs};
    const std::size_t part = shape.gpu_part(samples), parts = shape.gpu_parts(samples);
    if (parts <= 1) return gemm::product(rows, columns, pixels, 0, patches, gradient, store, stream);
    float* sums = static_cast<float*>(stream.workspace(shape.gpu_workspace(samples) * sizeof(float)));
    const StorePart store_part{sums, static_cast<int>(rows), static_cast<int>(columns)};
    gemm::product(rows, columns, pixels, part, patches, gradient, store_part, stream);
    cuda::launch(add_parts_kernel, {gemm::tiles(rows * columns, block), block}, stream, static_cast<const float*>(sums),
                 static_cast<int>(parts), static_cast<int>(rows), static_cast<int>(columns), store);
}

}  // namespace silosum::kernels

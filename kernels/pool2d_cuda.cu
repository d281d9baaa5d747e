// Pooling on a GPU: a thread for each output forward, for each input backward, which then asks the windows that it is in.
#include "kernels/elementwise_cuda.cuh"
#include "kernels/pool2d.hpp"

namespace silosum::kernels {
namespace {

struct Windows {
    int channels, height, width, window, stride, padding, out_height, out_width;

    explicit Windows(const PoolShape& shape)
        : channels(static_cast<int>(shape.channels)),
          height(static_cast<int>(shape.height)),
          width(static_cast<int>(shape.width)),
          window(static_cast<int>(shape.window)),
          stride(static_cast<int>(shape.stride)),
          padding(static_cast<int>(shape.padding)),
          out_height(static_cast<int>(shape.out_height())),
          out_width(static_cast<int>(shape.out_width())) {}

    /// Calls body(position in the window, index in x) for what lies in the image, row by row.
    template <class Body>
    __device__ void over_window(std::size_t output, const Body& body) const {
        const int channel = static_cast<int>(output % channels), out_x = static_cast<int>(output / channels % out_width);
        const std::size_t line = output / channels / out_width;
        const int top = static_cast<int>(line % out_height) * stride - padding, left = out_x * stride - padding;
        for (int row = max(0, -top); row < window && top + row < height; ++row) {
            const std::size_t first = (line / out_height * height + static_cast<std::size_t>(top + row)) * width;
            for (int column = max(0, -left); column < window && left + column < width; ++column) {
                body(row * window + column, (first + static_cast<std::size_t>(left + column)) * channels + channel);
            }
        }
    }

    /// Calls body(position in the window, index in y) for the windows that input value `input` is in, in the order of the outputs.
    template <class Body>
    __device__ void over_outputs(std::size_t input, const Body& body) const {
        const int channel = static_cast<int>(input % channels), x = static_cast<int>(input / channels % width) + padding;
        const std::size_t line = input / channels / width, sample = line / height;
        const int y = static_cast<int>(line % height) + padding;
        for (int out_y = max(0, (y - window) / stride + (y >= window ? 1 : 0)); out_y < out_height && out_y * stride <= y; ++out_y) {
            for (int out_x = max(0, (x - window) / stride + (x >= window ? 1 : 0)); out_x < out_width && out_x * stride <= x; ++out_x) {
                const std::size_t output = ((sample * out_height + static_cast<std::size_t>(out_y)) * out_width + static_cast<std::size_t>(out_x)) * channels + channel;
                body((y - out_y * stride) * window + x - out_x * stride, output);
            }
        }
    }
};

struct MaxForward {
    Windows windows;
    const float* x;
    float* y;
    std::uint8_t* winner;
    __device__ void operator()(std::size_t output) const {
        float best = 0.0F;
        int position = -1;
        windows.over_window(output, [&](int place, std::size_t input) {
            const float value = x[input];
            if (position >= 0 && !(value > best) && value == value) return;  // NaN wins, so that it is not lost
            best = value;
            position = place;
        });
        y[output] = best;
        winner[output] = static_cast<std::uint8_t>(position);
    }
};

struct MaxBackward {
    Windows windows;
    const float* dy;
    const std::uint8_t* winner;
    const float* relu_output;
    float* dx;
    __device__ void operator()(std::size_t input) const {
        float sum = 0.0F;
        windows.over_outputs(input, [&](int place, std::size_t output) {
            if (winner[output] != place || (relu_output != nullptr && !(relu_output[output] > 0.0F))) return;
            sum += dy[output];
        });
        dx[input] = sum;
    }
};

struct AverageForward {
    Windows windows;
    float share;
    const float* x;
    float* y;
    __device__ void operator()(std::size_t output) const {
        float sum = 0.0F;
        windows.over_window(output, [&](int, std::size_t input) { sum += x[input] * share; });
        y[output] = sum;
    }
};

struct AverageBackward {
    Windows windows;
    float share;
    const float* dy;
    float* dx;
    __device__ void operator()(std::size_t input) const {
        float sum = 0.0F;
        windows.over_outputs(input, [&](int, std::size_t output) { sum += dy[output] * share; });
        dx[input] = sum;
    }
};

}  // namespace

void max_pool_forward(const PoolShape& shape, std::size_t samples, const float* x, float* y, std::uint8_t* winner,
                      const CudaStream& stream) {
    for_each_index(samples * shape.out_size(), MaxForward{Windows(shape), x, y, winner}, stream);
}

void max_pool_backward(const PoolShape& shape, std::size_t samples, const float* dy, const std::uint8_t* winner, const float* relu_output,
                       float* dx, const CudaStream& stream) {
    for_each_index(samples * shape.in_size(), MaxBackward{Windows(shape), dy, winner, relu_output, dx}, stream);
}

void average_pool_forward(const PoolShape& shape, std::size_t samples, const float* x, float* y, const CudaStream& stream) {
    const float share = 1.0F / static_cast<float>(shape.window * shape.window);
    for_each_index(samples * shape.out_size(), AverageForward{Windows(shape), share, x, y}, stream);
}

void average_pool_backward(const PoolShape& shape, std::size_t samples, const float* dy, float* dx, const CudaStream& stream) {
    const float share = 1.0F / static_cast<float>(shape.window * shape.window);
    for_each_index(samples * shape.in_size(), AverageBackward{Windows(shape), share, dy, dx}, stream);
}

}  // namespace silosum::kernels

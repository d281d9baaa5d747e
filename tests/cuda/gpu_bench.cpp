// How long kernels take on a GPU, and which share that is of what the GPU can do: of cuBLAS for products, of the memory's bandwidth for
// what only moves values. A table for people; run by scripts/gpu_check.sh.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"
#include "device/devices.hpp"
#include "device/stream.hpp"
#include "kernels/activation.hpp"
#include "kernels/conv2d.hpp"
#include "kernels/dense.hpp"
#include "kernels/fixed_point.hpp"
#include "kernels/loss.hpp"
#include "kernels/masked_words.hpp"
#include "kernels/optimizer_step.hpp"

#if defined(SILOSUM_HAS_CUBLAS)
#include <cublas_v2.h>
#endif

namespace silosum::kernels {
namespace {

const Threads threads(1);

void check(cudaError_t status) {
    require<RuntimeError>(status == cudaSuccess, "CUDA: {}", cudaGetErrorString(status));
}

/// Median of the milliseconds of one call, over `samples` runs of enough calls to last.
double milliseconds(const CudaStream& stream, const std::function<void()>& call) {
    cudaEvent_t begin = nullptr, end = nullptr;
    check(cudaEventCreate(&begin));
    check(cudaEventCreate(&end));
    const auto time_of = [&](int calls) {
        check(cudaEventRecord(begin, stream.handle()));
        for (int i = 0; i < calls; ++i) call();
        check(cudaEventRecord(end, stream.handle()));
        check(cudaEventSynchronize(end));
        float time = 0;
        check(cudaEventElapsedTime(&time, begin, end));
        return static_cast<double>(time) / calls;
    };
    (void)time_of(3);  // warm
    const int calls = std::clamp(static_cast<int>(20 / std::max(time_of(3), 1e-3)), 1, 1000);
    std::vector<double> times;
    for (int i = 0; i < 7; ++i) times.push_back(time_of(calls));
    std::nth_element(times.begin(), times.begin() + 3, times.end());
    check(cudaEventDestroy(begin));
    check(cudaEventDestroy(end));
    return times[3];
}

struct Bench {
    Stream stream;
    double bytes_per_ms;  // of the memory, as a copy on the device reaches it

    template <class T>
    [[nodiscard]] Buffer<T> buffer(std::size_t n) const {
        return stream.allocate<T>(n);
    }
    void product(const std::string& name, std::size_t m, std::size_t n, std::size_t k, const std::function<void()>& call) const {
        const double own = milliseconds(stream.cuda(), call);
        const double flops = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
        std::string beside;
#if defined(SILOSUM_HAS_CUBLAS)
        cublasHandle_t handle = nullptr;
        (void)cublasCreate(&handle);
        (void)cublasSetStream(handle, stream.cuda().handle());
        (void)cublasSetMathMode(handle, CUBLAS_PEDANTIC_MATH);  // float32, as ours
        const auto a = buffer<float>(m * k), b = buffer<float>(k * n);
        auto c = buffer<float>(m * n);
        const float one = 1, zero = 0;
        const double theirs = milliseconds(stream.cuda(), [&] {
            (void)cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, static_cast<int>(n), static_cast<int>(m), static_cast<int>(k), &one,
                              b.data(), static_cast<int>(n), a.data(), static_cast<int>(k), &zero, c.data(), static_cast<int>(n));
        });
        (void)cublasDestroy(handle);
        beside = fmt::format("{:6.0f} % of cuBLAS ({:.4f} ms)", 100 * theirs / own, theirs);
#endif
        fmt::print("{:<56}{:10.4f} ms {:8.2f} TFLOP/s  {}\n", name, own, flops / own * 1e-9, beside);
    }
    void moved(const std::string& name, double bytes, const std::function<void()>& call) const {
        const double own = milliseconds(stream.cuda(), call);
        fmt::print("{:<56}{:10.4f} ms {:8.0f} GB/s {:6.0f} % of a copy's bandwidth\n", name, own, bytes / own * 1e-6,
                   100 * bytes / own / bytes_per_ms);
    }
};

void bench_dense(const Bench& bench, std::size_t batch, std::size_t in, std::size_t out) {
    const DenseShape shape{in, out};
    const auto x = bench.buffer<float>(batch * in), dy = bench.buffer<float>(batch * out), bias = bench.buffer<float>(out);
    auto w = bench.buffer<float>(shape.packed_size()), y = bench.buffer<float>(batch * out), dx = bench.buffer<float>(batch * in);
    auto db = bench.buffer<float>(out);
    const CudaStream& on = bench.stream.cuda();
    const std::string name = fmt::format("dense {} x {} -> {}", batch, in, out);
    bench.product(name + ", forward", batch, out, in,
                  [&] { dense_forward(shape, batch, x.data(), w.data(), bias.data(), y.data(), true, on); });
    bench.product(name + ", gradient of the input", batch, in, out,
                  [&] { dense_backward_input(shape, batch, dy.data(), w.data(), nullptr, dx.data(), on); });
    bench.product(name + ", gradient of the weights", in, out, batch,
                  [&] { dense_backward_weights(shape, batch, x.data(), dy.data(), 1, 0, w.data(), 0, db.data(), on); });
}

void bench_conv(const Bench& bench, std::size_t batch, const ConvShape& shape) {
    const auto x = bench.buffer<float>(batch * shape.padded_size()), dy = bench.buffer<float>(batch * shape.out_size());
    const auto bias = bench.buffer<float>(shape.out_channels);
    auto w = bench.buffer<float>(shape.packed_size()), flipped = bench.buffer<float>(shape.flipped_size());
    auto y = bench.buffer<float>(batch * shape.out_size()), dx = bench.buffer<float>(batch * shape.in_size());
    auto db = bench.buffer<float>(shape.out_channels);
    const CudaStream& on = bench.stream.cuda();
    const std::size_t pixels = batch * shape.out_height() * shape.out_width();
    const std::string name = fmt::format("conv {} -> {}, {}x{} at {}x{}, batch {}", shape.in_channels, shape.out_channels,
                                         shape.kernel_height, shape.kernel_width, shape.height, shape.width, batch);
    bench.product(name + ", forward", pixels, shape.out_channels, shape.taps(),
                  [&] { conv2d_forward(shape, batch, x.data(), w.data(), bias.data(), y.data(), true, on); });
    bench.product(name + ", input", pixels, shape.in_channels, shape.out_channels * shape.kernel_height * shape.kernel_width,
                  [&] { conv2d_backward_input(shape, batch, dy.data(), flipped.data(), nullptr, nullptr, dx.data(), on); });
    bench.product(name + ", weights", shape.taps(), shape.out_channels, pixels,
                  [&] { conv2d_backward_weights(shape, batch, x.data(), dy.data(), 1, 0, w.data(), 0, db.data(), on); });
}

void bench_moves(const Bench& bench, std::size_t n) {
    const auto local = bench.buffer<float>(n), global = bench.buffer<float>(n);
    auto parameters = bench.buffer<float>(n), m = bench.buffer<float>(n), v = bench.buffer<float>(n);
    auto words = bench.buffer<std::uint32_t>(n);
    auto mean = bench.buffer<double>(n), largest = bench.buffer<double>(1);
    auto count = bench.buffer<EncodeCount>(1);
    const CudaStream& on = bench.stream.cuda();
    const auto bytes = [n](double each) { return each * static_cast<double>(n); };
    bench.moved("relu", bytes(8), [&] { relu_forward(n, local.data(), parameters.data(), on); });
    bench.moved("SGD", bytes(12), [&] { sgd_step(n, {.lr = 0.1F}, nullptr, parameters.data(), local.data(), nullptr, on); });
    bench.moved("Adam", bytes(28), [&] { adam_step(n, {.lr = 0.1F}, nullptr, parameters.data(), local.data(), m.data(), v.data(), on); });
    bench.moved("encode to 32 bits", bytes(12), [&] {
        encode(n, local.data(), global.data(), {1.0, 0x1p20}, Store::write, words.data(), count.data(), on);
    });
    bench.moved("decode from 32 bits", bytes(12), [&] { decode_mean(n, words.data(), 0x1p-20, 3, mean.data(), largest.data(), on); });
    for (const Cipher cipher : {Cipher::chacha20, Cipher::aes128_ctr}) {
        for (const std::size_t streams : {1U, 8U}) {
            const std::vector<MaskKey> keys(streams, {std::vector<std::byte>(stream_key_bytes(cipher)), Sign::plus});
            const MaskBank bank(cipher, keys, on);
            bench.moved(fmt::format("encode and hide under {} streams of {}", streams, cipher == Cipher::chacha20 ? "ChaCha20" : "AES-128"),
                        bytes(12), [&] {
                            bank.encode_hidden(0, n, local.data(), global.data(), {1.0, 0x1p20}, words.data(), count.data());
                        });
        }
    }
}

// The kernels of a step of softmax regression on a small batch, so short that launching them is what takes the time.
void bench_step(const Bench& bench) {
    constexpr std::size_t batch = 10, classes = 10;
    constexpr DenseShape shape{784, classes};
    const auto x = bench.buffer<float>(batch * shape.in), bias = bench.buffer<float>(classes);
    const auto labels = bench.buffer<std::int32_t>(batch);
    auto w = bench.buffer<float>(shape.packed_size()), dw = bench.buffer<float>(shape.packed_size());
    auto m = bench.buffer<float>(shape.packed_size()), v = bench.buffer<float>(shape.packed_size());
    auto y = bench.buffer<float>(batch * classes), scale = bench.buffer<float>(1), db = bench.buffer<float>(classes);
    auto sum = bench.buffer<LossSum>(1);
    const CudaStream& on = bench.stream.cuda();
    std::uint64_t number = 0;
    const auto step = [&] {
        dense_forward(shape, batch, x.data(), w.data(), bias.data(), y.data(), false, on);
        mean_scale(batch, labels.data(), nullptr, scale.data(), on);
        softmax_cross_entropy(batch, classes, y.data(), labels.data(), nullptr, scale.data(), y.data(), sum.data(), on);
        dense_backward_weights(shape, batch, x.data(), y.data(), 1, 0, dw.data(), 0, db.data(), on);
        adam_step(w.size(), {.lr = 0.001F, .step = ++number}, nullptr, w.data(), dw.data(), m.data(), v.data(), on);
    };
    fmt::print("{:<56}{:10.4f} ms\n", "kernels of a small step, one by one", milliseconds(on, step));
    fmt::print("{:<56}{:10.4f} ms\n", "the same as a CUDA graph", milliseconds(on, [&] { on.run_as_graph(step); }));
}

int run() {
    const auto facts = cuda::list_devices().front();
    fmt::print("{}, sm_{}{}, {} multiprocessors\n", facts.name, facts.major, facts.minor, facts.multiprocessors);
    Bench bench{{CudaStream(0), threads}, 1};
    constexpr std::size_t n = std::size_t{1} << 26;
    {
        const auto from = bench.buffer<float>(n);
        auto to = bench.buffer<float>(n);
        const double time = milliseconds(bench.stream.cuda(), [&] { bench.stream.copy<float>(from.span(), to.span()); });
        bench.bytes_per_ms = 8.0 * n / time;
        fmt::print("a copy on the device moves {:.0f} GB/s\n\n", bench.bytes_per_ms * 1e-6);
    }
    bench_dense(bench, 4096, 4096, 4096);
    for (const std::size_t batch : {10U, 64U, 600U}) bench_dense(bench, batch, 3136, 512);
    for (const std::size_t batch : {10U, 64U, 600U}) {
        bench_conv(bench, batch,
                   {.in_channels = 1, .height = 28, .width = 28, .out_channels = 32, .kernel_height = 5, .kernel_width = 5, .padding = 2});
        bench_conv(bench, batch,
                   {.in_channels = 32, .height = 14, .width = 14, .out_channels = 64, .kernel_height = 5, .kernel_width = 5, .padding = 2});
    }
    bench_moves(bench, n);
    bench_step(bench);
    return 0;
}

}  // namespace
}  // namespace silosum::kernels

int main() {
    try {
        return silosum::kernels::run();
    } catch (const silosum::Error& error) {
        fmt::print(stderr, "gpu_bench: {}\n", error.what());
        return static_cast<int>(error.code());
    }
}

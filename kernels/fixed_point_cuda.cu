// Encoding, decoding and the server step on a GPU, to the words and numbers of the processor bit for bit
// (but for numbers below 2^-126, which the program takes for 0 on the processor).
#include "kernels/elementwise_cuda.cuh"
#include "kernels/fixed_point_cuda.cuh"

namespace silosum::kernels {
namespace {

__device__ long long signed_value(std::uint32_t word) {
    return static_cast<int>(word);
}
__device__ long long signed_value(std::uint64_t word) {
    return static_cast<long long>(word);
}

template <class Word>
struct Encode {
    const float* local;
    const float* global;
    EncodeSettings settings;
    bool adds;
    Word* words;
    EncodeCount* count;
    __device__ void operator()(std::size_t i) const {
        Outside outside;
        const Word z = encoded<Word>(local[i], global[i], settings, outside);
        words[i] = adds ? words[i] + z : z;
        add_outside(outside, count);
    }
};

/// *largest becomes the largest of its bits and those of each thread's value, which is not negative: their order is that of the integers, and
/// what is no number is the largest of all. All threads of the block call it.
__device__ void keep_largest(double value, unsigned long long* largest) {
    __shared__ unsigned long long parts[block_threads / 32];
    auto own = static_cast<unsigned long long>(__double_as_longlong(value));
    for (int distance = 16; distance > 0; distance /= 2) own = max(own, __shfl_down_sync(0xFFFFFFFFU, own, distance));
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = own;
    __syncthreads();
    if (threadIdx.x != 0) return;
    for (unsigned warp = 1; warp < block_threads / 32; ++warp) own = max(own, parts[warp]);
    atomicMax(largest, own);
}

template <class Word>
__global__ void __launch_bounds__(block_threads)
    decode_kernel(std::size_t n, const Word* __restrict__ words, double unit, double divisor, double* __restrict__ mean,
                  unsigned long long* __restrict__ largest) {
    const std::size_t i = grid_index();
    double value = 0;
    if (i < n) mean[i] = value = static_cast<double>(signed_value(words[i])) * unit / divisor;
    keep_largest(fabs(value), largest);
}

__global__ void __launch_bounds__(block_threads)
    difference_kernel(std::size_t n, const float* __restrict__ local, const float* __restrict__ global, unsigned long long* __restrict__ largest) {
    const std::size_t i = grid_index();
    keep_largest(i < n ? fabs(static_cast<double>(local[i]) - static_cast<double>(global[i])) : 0.0, largest);
}

struct AddScaled {
    double rate;
    const double* mean;
    float* x;
    __device__ void operator()(std::size_t i) const { x[i] = static_cast<float>(static_cast<double>(x[i]) + rate * mean[i]); }
};

template <class Word>
void encode_on(std::size_t n, const float* local, const float* global, const EncodeSettings& settings, Store store, Word* words,
               EncodeCount* count, const CudaStream& stream) {
    for_each_index(n, Encode<Word>{local, global, settings, store == Store::add, words, count}, stream);
}

template <class Word>
void decode_on(std::size_t n, const Word* words, double unit, double divisor, double* mean, double* largest, const CudaStream& stream) {
    stream.fill_with_zeros(largest, sizeof(double));
    cuda::launch(decode_kernel<Word>, {blocks_for(n), block_threads}, stream, n, words, unit, divisor, mean,
                 reinterpret_cast<unsigned long long*>(largest));
}

}  // namespace

void encode(std::size_t n, const float* local, const float* global, const EncodeSettings& settings, Store store, std::uint32_t* words,
            EncodeCount* count, const CudaStream& stream) {
    encode_on(n, local, global, settings, store, words, count, stream);
}
void encode(std::size_t n, const float* local, const float* global, const EncodeSettings& settings, Store store, std::uint64_t* words,
            EncodeCount* count, const CudaStream& stream) {
    encode_on(n, local, global, settings, store, words, count, stream);
}

void decode_mean(std::size_t n, const std::uint32_t* words, double unit, double divisor, double* mean, double* largest,
                 const CudaStream& stream) {
    decode_on(n, words, unit, divisor, mean, largest, stream);
}
void decode_mean(std::size_t n, const std::uint64_t* words, double unit, double divisor, double* mean, double* largest,
                 const CudaStream& stream) {
    decode_on(n, words, unit, divisor, mean, largest, stream);
}

void add_scaled(std::size_t n, double rate, const double* mean, float* x, const CudaStream& stream) {
    for_each_index(n, AddScaled{rate, mean, x}, stream);
}

void largest_difference(std::size_t n, const float* local, const float* global, double* largest, const CudaStream& stream) {
    stream.fill_with_zeros(largest, sizeof(double));
    cuda::launch(difference_kernel, {blocks_for(n), block_threads}, stream, n, local, global, reinterpret_cast<unsigned long long*>(largest));
}

}  // namespace silosum::kernels

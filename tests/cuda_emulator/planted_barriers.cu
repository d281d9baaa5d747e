// Barriers of a block that are missing, or that not all threads come to.
#include "tests/cuda_emulator/device_array.hpp"
#include "tests/cuda_emulator/planted_bugs.hpp"

namespace {

constexpr int threads = 128;
using Ints = std::vector<int>;

template <bool planted>
__global__ void reverse(int* out, const int* in) {
    __shared__ int tile[threads];
    tile[threadIdx.x] = in[threadIdx.x];
    if constexpr (!planted) __syncthreads();
    out[threadIdx.x] = tile[threads - 1 - threadIdx.x];  // planted: before_reading
}

template <bool planted>
__global__ void shift(int* out, const int* in) {
    __shared__ int tile[threads];
    tile[threadIdx.x] = in[threadIdx.x];
    if constexpr (!planted) __syncthreads();
    out[threadIdx.x] = tile[threadIdx.x == 0 ? 0 : threadIdx.x - 1];  // planted: before_reading_the_neighbour
}

template <bool planted>
__global__ void reverse_twice(int* out, const int* in) {
    __shared__ int tile[threads];
    int sum = 0;
    for (int round = 0; round < 2; ++round) {
        tile[threadIdx.x] = in[threadIdx.x] << round;  // planted: before_overwriting
        __syncthreads();
        sum += tile[threads - 1 - threadIdx.x];
        if constexpr (!planted) __syncthreads();
    }
    out[threadIdx.x] = sum;
}

template <bool planted>
__global__ void histogram(int* out, const int* in) {
    __shared__ int bins[16];
    if (threadIdx.x < 16) bins[threadIdx.x] = 0;
    if constexpr (!planted) __syncthreads();
    atomicAdd(&bins[15 - in[threadIdx.x] % 16], 1);  // planted: after_zeroing
    __syncthreads();
    if (threadIdx.x < 16) out[threadIdx.x] = bins[threadIdx.x];
}

template <bool planted>
__global__ void tree_sum(int* out, const int* in) {
    __shared__ int part[threads];
    part[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    for (unsigned step = threads / 2; step > 0; step /= 2) {
        if (threadIdx.x < step) part[threadIdx.x] += part[threadIdx.x + step];  // planted: between_steps
        if constexpr (!planted) __syncthreads();
    }
    if (threadIdx.x == 0) *out = part[0];
}

template <bool planted>
__global__ void branch(int* out, const int* in) {
    __shared__ int tile[threads];
    tile[threadIdx.x] = in[threadIdx.x];
    if constexpr (planted) {
        if (threadIdx.x < 64) {
            tile[threadIdx.x] += 1;
            __syncthreads();  // planted: in_a_branch
            tile[threadIdx.x] -= 1;
        } else {
            tile[threadIdx.x] *= 2;
            __syncthreads();
            tile[threadIdx.x] /= 2;
        }
    }
    __syncthreads();
    out[threadIdx.x] = tile[threads - 1 - threadIdx.x];
}

template <bool planted>
__global__ void early_return(int* out, const int* in) {
    __shared__ int tile[threads];
    tile[threadIdx.x] = in[threadIdx.x];
    if (planted && in[threadIdx.x] >= 100) return;
    __syncthreads();  // planted: after_a_return
    out[threadIdx.x] = tile[threads - 1 - threadIdx.x];
}

Ints run(void (*kernel)(int*, const int*), std::size_t results = threads) {
    const DeviceArray<int> in(count_up<int>(threads)), out(results);
    launch(kernel, {1, threads}, out.data(), in.data());
    return out.host();
}

Ints reversed() {
    const Ints up = count_up<int>(threads);
    return {up.rbegin(), up.rend()};
}

bool reverse_is_right(bool planted) {
    return run(planted ? reverse<true> : reverse<false>) == reversed();
}
bool shift_is_right(bool planted) {
    Ints want = count_up<int>(threads);
    want.insert(want.begin(), 0);
    want.pop_back();
    return run(planted ? shift<true> : shift<false>) == want;
}
bool reverse_twice_is_right(bool planted) {
    Ints want = reversed();
    for (int& value : want) value *= 3;
    return run(planted ? reverse_twice<true> : reverse_twice<false>) == want;
}
bool histogram_is_right(bool planted) {
    return run(planted ? histogram<true> : histogram<false>, 16) == Ints(16, threads / 16);
}
bool tree_sum_is_right(bool planted) {
    return run(planted ? tree_sum<true> : tree_sum<false>, 1) == Ints{threads * (threads - 1) / 2};
}
bool branch_is_right(bool planted) {
    return run(planted ? branch<true> : branch<false>) == reversed();
}
bool early_return_is_right(bool planted) {
    return run(planted ? early_return<true> : early_return<false>) == reversed();
}

}  // namespace

std::vector<PlantedBug> planted_in_barriers() {
    const char* file = "planted_barriers.cu";
    const std::string different = "threads of one block meet at different __syncthreads", returned = "threads of the block have returned";
    return {
        {"before_reading", file, reverse_is_right, "wrong", "uninitialised memory is read", "uninitialised memory is read", "wrong"},
        {"before_reading_the_neighbour", file, shift_is_right, "some seed", "", "", "passes"},
        {"before_overwriting", file, reverse_twice_is_right, "wrong", "race: ", "race: ", "wrong"},
        {"after_zeroing", file, histogram_is_right, "wrong", "", "", "wrong"},
        {"between_steps", file, tree_sum_is_right, "wrong", "race: ", "race: ", "wrong"},
        {"in_a_branch", file, branch_is_right, different, different, different, different},
        {"after_a_return", file, early_return_is_right, returned, returned, returned, returned},
    };
}

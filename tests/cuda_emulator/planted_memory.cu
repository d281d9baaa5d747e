// Races on memory, and accesses outside of it.
#include "tests/cuda_emulator/device_array.hpp"
#include "tests/cuda_emulator/planted_bugs.hpp"

namespace {

using Ints = std::vector<int>;

template <bool planted>
__global__ void count_in_shared(int* out) {
    __shared__ int count;
    if (threadIdx.x == 0) count = 0;
    __syncthreads();
    if constexpr (planted) {
        count++;  // planted: increment_in_shared
    } else {
        atomicAdd(&count, 1);
    }
    __syncthreads();
    if (threadIdx.x == 0) *out = count;
}

template <bool planted>
__global__ void count_in_global(int* out) {
    if constexpr (planted) {
        *out += 1;  // planted: increment_in_global
    } else {
        atomicAdd(out, 1);
    }
}

// The sum so far, from one block to the next: right only if blocks run in order.
template <bool planted>
__global__ void running_sum(int* sums, const int* in) {
    int sum = 0;
    if constexpr (planted) {
        sum = blockIdx.x == 0 ? 0 : sums[blockIdx.x - 1];  // planted: another_block
        sum += in[blockIdx.x];
    } else {
        for (unsigned i = 0; i <= blockIdx.x; ++i) sum += in[i];
    }
    sums[blockIdx.x] = sum;
}

template <bool planted>
__global__ void store_first(int* out, const int* in) {
    if (planted || threadIdx.x == 0) *out = in[threadIdx.x];  // planted: all_threads_store
}

template <bool planted>
__global__ void differences(int* out, const int* in, int size) {
    const int i = static_cast<int>(threadIdx.x);
    if (i < size - (planted ? 0 : 1)) out[i] = in[i + 1] - in[i];  // planted: read_past_the_end
}

template <bool planted>
__global__ void copy(int* out, const int* in, int size) {
    const int i = static_cast<int>(threadIdx.x);
    if (planted ? i > size : i >= size) return;
    const int value = i < size ? in[i] : 0;
    out[i] = value;  // planted: written_past_the_end
}

constexpr int rows = 8, columns = 9;

template <bool planted>
__global__ void sum_rows(int* out, int width) {
    __shared__ int tile[rows][columns];
    const auto row = threadIdx.x;
    for (int c = 0; c < width; ++c) tile[row][c] = 1;
    __syncthreads();
    int sum = 0;
    for (int c = 0; c < width + (planted ? 1 : 0); ++c) sum += tile[row][c];  // planted: past_the_row
    out[row] = sum;
}

template <bool planted>
__global__ void sum_columns(int* out, int height) {
    __shared__ int tile[rows][columns];
    const auto column = threadIdx.x;
    for (int r = 0; r < height; ++r) tile[r][column] = 1;
    int sum = 0;
    for (int r = 0; r < height + (planted ? 1 : 0); ++r) sum += tile[r][column];  // planted: past_the_array
    out[column] = sum;
}

__global__ void reverse_in_dynamic(int* out, const int* in) {
    int* tile = dynamic_shared<int>();
    tile[threadIdx.x] = in[threadIdx.x];  // planted: dynamic_shared_too_small
    __syncthreads();
    out[threadIdx.x] = tile[blockDim.x - 1 - threadIdx.x];
}

template <bool planted>
__global__ void use_shared(int* out) {
    __shared__ int values[32];
    if (!planted || threadIdx.x != 7) values[threadIdx.x] = 1;
    out[threadIdx.x] = values[threadIdx.x];  // planted: uninitialised_shared
}

__global__ void add_one(int* out, const int* in) {
    out[threadIdx.x] = in[threadIdx.x] + 1;  // planted: uninitialised_global
}

template <bool planted>
__global__ void copy_four(float4* out, const float* in) {
    const auto* four = reinterpret_cast<const float4*>(in + (planted ? 1 : 0));
    out[threadIdx.x] = four[threadIdx.x];  // planted: misaligned
}

bool counts(void (*kernel)(int*)) {
    const DeviceArray<int> out(Ints{0});
    launch(kernel, {1, 64}, out.data());
    return out.host() == Ints{64};
}
bool count_in_shared_is_right(bool planted) {
    return counts(planted ? count_in_shared<true> : count_in_shared<false>);
}
bool count_in_global_is_right(bool planted) {
    return counts(planted ? count_in_global<true> : count_in_global<false>);
}
bool running_sum_is_right(bool planted) {
    const DeviceArray<int> in(Ints(8, 1)), sums(Ints(8, 0));
    launch(planted ? running_sum<true> : running_sum<false>, {8, 1}, sums.data(), in.data());
    return sums.host() == Ints{1, 2, 3, 4, 5, 6, 7, 8};
}
bool store_first_is_right(bool planted) {
    const DeviceArray<int> in(count_up<int>(32)), out(1);
    launch(planted ? store_first<true> : store_first<false>, {1, 32}, out.data(), in.data());
    return out.host() == Ints{0};
}
bool differences_are_right(bool planted) {
    const DeviceArray<int> in(count_up<int>(32)), out(Ints(32, 0));
    launch(planted ? differences<true> : differences<false>, {1, 64}, out.data(), in.data(), 32);
    Ints got = out.host();
    got.pop_back();
    return got == Ints(31, 1);
}
bool copy_is_right(bool planted) {
    const DeviceArray<int> in(count_up<int>(32)), out(32);
    launch(planted ? copy<true> : copy<false>, {1, 64}, out.data(), in.data(), 32);
    return out.host() == count_up<int>(32);
}
bool sum_rows_is_right(bool planted) {
    const DeviceArray<int> out(rows);
    launch(planted ? sum_rows<true> : sum_rows<false>, {1, rows}, out.data(), columns);
    return out.host() == Ints(rows, columns);
}
bool sum_columns_is_right(bool planted) {
    const DeviceArray<int> out(columns);
    launch(planted ? sum_columns<true> : sum_columns<false>, {1, columns}, out.data(), rows);
    return out.host() == Ints(columns, rows);
}
bool dynamic_is_right(bool planted) {
    const DeviceArray<int> in(count_up<int>(32)), out(32);
    launch(reverse_in_dynamic, {1, 32, 32 * sizeof(int) - (planted ? 4 : 0)}, out.data(), in.data());
    const Ints up = count_up<int>(32);
    return out.host() == Ints(up.rbegin(), up.rend());
}
bool use_shared_is_right(bool planted) {
    const DeviceArray<int> out(32);
    launch(planted ? use_shared<true> : use_shared<false>, {1, 32}, out.data());
    return out.host() == Ints(32, 1);
}
bool add_one_is_right(bool planted) {
    const DeviceArray<int> in(32), out(32);
    if (!planted) require_success(cudaMemset(in.data(), 0, 32 * sizeof(int)));
    launch(add_one, {1, 32}, out.data(), in.data());
    return out.host() == Ints(32, 1);
}
bool copy_four_is_right(bool planted) {
    const DeviceArray<float> in(count_up<float>(33));
    const DeviceArray<float4> out(8);
    launch(planted ? copy_four<true> : copy_four<false>, {1, 8}, out.data(), in.data());
    return out.host()[1].y == (planted ? 6.0f : 5.0f);
}

}  // namespace

std::vector<PlantedBug> planted_in_memory() {
    const char* file = "planted_memory.cu";
    const std::string out = "out of bounds: ", poison = "dies: use-after-poison", unread = "uninitialised memory is read";
    // It may use an instruction of the host that needs the alignment, too.
    const std::string up_to_the_compiler = "not looked at";
    // What lies behind the array?
    const std::string up_to_the_linker = "not looked at";
    return {
        {"increment_in_shared", file, count_in_shared_is_right, "passes", "race: ", "race: ", "passes"},
        {"increment_in_global", file, count_in_global_is_right, "passes", "race: ", "race: ", "passes"},
        {"another_block", file, running_sum_is_right, "some seed", "race: ", "race: ", "some seed"},
        {"all_threads_store", file, store_first_is_right, "wrong", "race: ", "race: ", "wrong"},
        {"read_past_the_end", file, differences_are_right, "passes", out, out, poison},
        {"written_past_the_end", file, copy_is_right, "passes", out, out, poison},
        {"past_the_row", file, sum_rows_is_right, "wrong", "", "", "dies: out of bounds"},
        {"past_the_array", file, sum_columns_is_right, up_to_the_linker, out, out, "dies: out of bounds"},
        {"dynamic_shared_too_small", file, dynamic_is_right, "passes", out, out, poison},
        {"uninitialised_shared", file, use_shared_is_right, "wrong", unread, unread, "not looked at"},
        {"uninitialised_global", file, add_one_is_right, "wrong", unread, unread, "wrong"},
        {"misaligned", file, copy_four_is_right, up_to_the_compiler, "misaligned: ", "misaligned: ", "dies: misaligned address"},
    };
}

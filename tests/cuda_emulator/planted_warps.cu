// Mistakes in what the lanes of a warp do together.
#include "tests/cuda_emulator/device_array.hpp"
#include "tests/cuda_emulator/planted_bugs.hpp"

namespace {

constexpr unsigned everyone = 0xffffffff;
constexpr int sum_of_lanes = 31 * 32 / 2;

// Shared memory instead of shuffles: each step needs a barrier of the warp after its reads and after its writes.
template <bool planted>
__global__ void sum_in_shared(int* out, const int* in) {
    __shared__ int part[64];
    part[threadIdx.x] = in[threadIdx.x];
    part[threadIdx.x + 32] = 0;
    __syncwarp();
    for (unsigned step = 16; step > 0; step /= 2) {
        const int other = part[threadIdx.x + step];
        if constexpr (!planted) __syncwarp();
        part[threadIdx.x] += other;  // planted: no_syncwarp
        if constexpr (!planted) __syncwarp();
    }
    if (threadIdx.x == 0) *out = part[0];
}

// Each half of the warp waits for itself and reads what the other wrote.
template <bool planted>
__global__ void swap_halves(int* out, const int* in) {
    __shared__ int part[32];
    part[threadIdx.x] = in[threadIdx.x];
    __syncwarp(planted ? 0xffffu << (threadIdx.x & 16) : everyone);
    const int other = part[threadIdx.x ^ 16];  // planted: syncwarp_of_a_half
    atomicAdd(out, other);
}

template <bool planted>
__global__ void shuffle_in_a_branch(int* out, const int* in) {
    int value = in[threadIdx.x];
    if (!planted || value < 16) value += __shfl_xor_sync(everyone, value, 1);  // planted: in_a_divergent_branch
    atomicAdd(out, value / 2);
}

template <bool planted>
__global__ void shuffle_with_half_a_mask(int* out, const int* in) {
    const int value = in[threadIdx.x];
    const int other = __shfl_xor_sync(planted ? 0xffffu : everyone, value, 16);  // planted: mask_lacks_lanes
    atomicAdd(out, (value + other) / 2);
}

template <bool planted>
__global__ void shuffle_after_a_return(int* out, const int* in) {
    const int value = in[threadIdx.x];
    if (planted && value == 31) return;
    const int other = __shfl_down_sync(everyone, value, 16);  // planted: lane_has_returned
    atomicAdd(out, threadIdx.x < 16 ? value + other : 0);
}

template <bool planted>
__global__ void butterfly(int* out, const int* in) {
    int value = in[threadIdx.x];
    for (int step = planted ? 8 : 16; step > 0; step /= 2) value += __shfl_xor_sync(everyone, value, step);
    if (threadIdx.x == 0) *out = value;
}

bool is_right(void (*kernel)(int*, const int*)) {
    const DeviceArray<int> in(count_up<int>(32)), out(std::vector<int>{0});
    launch(kernel, {1, 32}, out.data(), in.data());
    return out.host().front() == sum_of_lanes;
}

bool sum_in_shared_is_right(bool planted) {
    return is_right(planted ? sum_in_shared<true> : sum_in_shared<false>);
}
bool swap_halves_is_right(bool planted) {
    return is_right(planted ? swap_halves<true> : swap_halves<false>);
}
bool in_a_branch_is_right(bool planted) {
    const DeviceArray<int> in(count_up<int>(32)), out(std::vector<int>{0});
    launch(planted ? shuffle_in_a_branch<true> : shuffle_in_a_branch<false>, {1, 32}, out.data(), in.data());
    return out.host().front() == 2 * (0 + 2 + 4 + 6 + 8 + 10 + 12 + 14 + 16 + 18 + 20 + 22 + 24 + 26 + 28 + 30);
}
bool half_a_mask_is_right(bool planted) {
    return is_right(planted ? shuffle_with_half_a_mask<true> : shuffle_with_half_a_mask<false>);
}
bool after_a_return_is_right(bool planted) {
    return is_right(planted ? shuffle_after_a_return<true> : shuffle_after_a_return<false>);
}
bool butterfly_is_right(bool planted) {
    return is_right(planted ? butterfly<true> : butterfly<false>);
}

}  // namespace

std::vector<PlantedBug> planted_in_warps() {
    const char* file = "planted_warps.cu";
    return {
        {"no_syncwarp", file, sum_in_shared_is_right, "wrong", "race: ", "race: ", "wrong"},
        {"syncwarp_of_a_half", file, swap_halves_is_right, "some seed", "race: ", "race: ", "passes"},
        {"in_a_divergent_branch", file, in_a_branch_is_right, "", "", "", ""},
        {"mask_lacks_lanes", file, half_a_mask_is_right, "not in its mask", "not in its mask", "not in its mask", "not in its mask"},
        {"lane_has_returned", file, after_a_return_is_right, "", "", "", ""},
        {"wrong_butterfly", file, butterfly_is_right, "wrong", "wrong", "wrong", "wrong"},
    };
}

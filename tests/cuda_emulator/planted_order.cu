// Races that only a checker finds which remembers more than the last access, and which knows what orders what.
#include "tests/cuda_emulator/device_array.hpp"
#include "tests/cuda_emulator/planted_bugs.hpp"

namespace {

using Ints = std::vector<int>;

// All read, then one of them writes: its own read is not the only one.
template <bool planted>
__global__ void read_by_all(int* out, int* value) {
    out[threadIdx.x] = *value;
    if constexpr (!planted) __syncthreads();
    if (threadIdx.x == 1) *value = 1;  // planted: written_after_others_read
}

// The first block reads what the second one reads and writes.
template <bool planted>
__global__ void read_by_two_blocks(int* out, int* values) {
    out[blockIdx.x] = values[planted ? 1 : blockIdx.x];
    if (blockIdx.x == 1) values[1] = values[1] + 1;  // planted: read_by_another_block
}

// Threads of two warps, of which only one waits for the other's warp barrier.
template <bool planted>
__global__ void two_warps(int* out, const int* in) {
    __shared__ int value;
    if (threadIdx.x == 0) value = *in;
    if constexpr (planted) {
        __syncwarp();
    } else {
        __syncthreads();
    }
    if (threadIdx.x == 40) *out = value;  // planted: warp_barrier_between_warps
}

// Lane 2 learns from lane 1 what lane 0 did, if lane 1 knew it by then.
template <bool planted>
__global__ void chain_of_lanes(int* out, const int* in) {
    __shared__ int value;
    const unsigned lane = threadIdx.x;
    if (lane == 0) value = *in;
    if (planted && (lane == 1 || lane == 2)) __syncwarp(0b110);
    if (lane <= 1) __syncwarp(0b011);
    if (!planted && (lane == 1 || lane == 2)) __syncwarp(0b110);
    if (lane == 2) *out = value;  // planted: chain_in_the_wrong_order
}

// An atomic update and a plain read of the same counter.
template <bool planted>
__global__ void read_a_counter(int* out, int* counter) {
    atomicAdd(counter, 1);  // planted: plain_read_of_a_counter
    if constexpr (!planted) __syncthreads();
    out[threadIdx.x] = *counter > 0 ? 1 : 0;
}

bool read_by_all_is_right(bool planted) {
    const DeviceArray<int> value(Ints{0}), out(64);
    launch(planted ? read_by_all<true> : read_by_all<false>, {1, 64}, out.data(), value.data());
    return out.host() == Ints(64, 0);
}
bool read_by_two_blocks_is_right(bool planted) {
    const DeviceArray<int> values(Ints{3, 3}), out(2);
    launch(planted ? read_by_two_blocks<true> : read_by_two_blocks<false>, {2, 1}, out.data(), values.data());
    return out.host() == Ints{3, 3};
}
bool two_warps_is_right(bool planted) {
    const DeviceArray<int> in(Ints{5}), out(1);
    launch(planted ? two_warps<true> : two_warps<false>, {1, 64}, out.data(), in.data());
    return out.host() == Ints{5};
}
bool chain_of_lanes_is_right(bool planted) {
    const DeviceArray<int> in(Ints{5}), out(1);
    launch(planted ? chain_of_lanes<true> : chain_of_lanes<false>, {1, 32}, out.data(), in.data());
    return out.host() == Ints{5};
}
bool read_a_counter_is_right(bool planted) {
    const DeviceArray<int> counter(Ints{0}), out(8);
    launch(planted ? read_a_counter<true> : read_a_counter<false>, {1, 8}, out.data(), counter.data());
    return out.host() == Ints(8, 1);
}

}  // namespace

std::vector<PlantedBug> planted_in_order() {
    const char* file = "planted_order.cu";
    return {
        {"written_after_others_read", file, read_by_all_is_right, "wrong", "race: ", "race: ", "wrong"},
        {"read_by_another_block", file, read_by_two_blocks_is_right, "some seed", "race: ", "race: ", "some seed"},
        {"warp_barrier_between_warps", file, two_warps_is_right, "some seed", "race: ", "race: ", "passes"},
        {"chain_in_the_wrong_order", file, chain_of_lanes_is_right, "some seed", "race: ", "race: ", "passes"},
        {"plain_read_of_a_counter", file, read_a_counter_is_right, "passes", "race: ", "race: ", "passes"},
    };
}

// Kernels and launches that compute the wrong thing, which only a comparison with the right one finds.
#include "tests/cuda_emulator/device_array.hpp"
#include "tests/cuda_emulator/planted_bugs.hpp"

namespace {

__global__ void to_integer(int* out, const float* in) {
    out[threadIdx.x] = static_cast<int>(in[threadIdx.x]);  // planted: cast_that_overflows
}
__global__ void to_integer_as_the_device_does(int* out, const float* in) {
    out[threadIdx.x] = __float2int_rz(in[threadIdx.x]);
}

template <bool planted>
__global__ void rotate(unsigned* out, const unsigned* in) {
    constexpr unsigned by = planted ? 8 : 7;
    out[threadIdx.x] = __funnelshift_l(in[threadIdx.x], in[threadIdx.x], by);
}

template <bool planted>
__global__ void square(float* out, const float* in) {
    out[threadIdx.x] = planted ? in[threadIdx.x] * 2.0f : in[threadIdx.x] * in[threadIdx.x];
}

__global__ void fill(int* out, int size) {
    const auto i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < size) out[i] = 1;
}

bool cast_is_right(bool planted) {
    const DeviceArray<float> in(std::vector<float>{1.5f, -2.5f, 3e9f, -3e9f});
    const DeviceArray<int> out(4);
    launch(planted ? to_integer : to_integer_as_the_device_does, {1, 4}, out.data(), in.data());
    return out.host() == std::vector<int>{1, -2, 2147483647, -2147483647 - 1};
}
bool rotation_is_right(bool planted) {
    const DeviceArray<unsigned> in(std::vector<unsigned>{0x80000001u}), out(1);
    launch(planted ? rotate<true> : rotate<false>, {1, 1}, out.data(), in.data());
    return out.host().front() == 0xc0u;
}
bool square_is_right(bool planted) {
    const DeviceArray<float> in(std::vector<float>{3.0f}), out(1);
    launch(planted ? square<true> : square<false>, {1, 1}, out.data(), in.data());
    return out.host().front() == 9.0f;
}
bool fill_is_right(bool planted) {
    constexpr int size = 70;
    const DeviceArray<int> out(size);
    const int blocks = planted ? size / 32 : (size + 31) / 32;
    launch(fill, {static_cast<unsigned>(blocks), 32}, out.data(), size);
    return out.host() == std::vector<int>(size, 1);
}

}  // namespace

std::vector<PlantedBug> planted_in_values() {
    const char* file = "planted_values.cu";
    return {
        {"cast_that_overflows", file, cast_is_right, "wrong", "wrong", "passes", "dies: outside the range"},
        {"rotation", file, rotation_is_right, "wrong", "wrong", "wrong", "wrong"},
        {"formula", file, square_is_right, "wrong", "wrong", "wrong", "wrong"},
        {"one_block_short", file, fill_is_right, "wrong", "wrong", "wrong", "wrong"},
    };
}

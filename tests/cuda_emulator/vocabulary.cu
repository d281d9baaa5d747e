#include "tests/cuda_emulator/vocabulary.hpp"

#include "tests/cuda_emulator/device_array.hpp"

namespace {

__global__ void bit_kernel(unsigned* out, unsigned a, unsigned b, unsigned c) {
    int n = 0;
    out[n++] = __brev(a);
    out[n++] = __byte_perm(a, b, c);
    out[n++] = __umulhi(a, b);
    out[n++] = static_cast<unsigned>(__mulhi(static_cast<int>(a), static_cast<int>(b)));
    out[n++] = __funnelshift_l(a, b, c);
    out[n++] = __funnelshift_r(a, b, c);
    out[n++] = static_cast<unsigned>(__popc(a));
    out[n++] = static_cast<unsigned>(__clz(static_cast<int>(a)));
    out[n++] = static_cast<unsigned>(__ffs(static_cast<int>(a)));
    out[n++] = min(a, b);
    out[n++] = static_cast<unsigned>(max(static_cast<int>(a), static_cast<int>(b)));
    out[n++] = __float_as_uint(__uint_as_float(a));
    out[n++] = static_cast<unsigned>(__float_as_int(__int_as_float(static_cast<int>(b))));
    out[n++] = a << (c & 31) ^ b >> (c & 31);
    out[n++] = (a & b) | (~a & c);  // one instruction of three inputs, on some devices
    out[n++] = static_cast<unsigned>(static_cast<int>(a) >> (c & 31));
    out[n++] = a / (b | 1) + a % (b | 1);
    out[n++] = static_cast<unsigned>(static_cast<int>(a) / (static_cast<int>(b & 0xffff) + 1));
}

__global__ void wide_kernel(unsigned long long* out, unsigned long long a, unsigned long long b) {
    int n = 0;
    out[n++] = __umul64hi(a, b);
    out[n++] = static_cast<unsigned long long>(__mul64hi(static_cast<long long>(a), static_cast<long long>(b)));
    out[n++] = a * b + 7;
    out[n++] = a / (b | 1);
    out[n++] = a % (b | 1);
    out[n++] = static_cast<unsigned long long>(static_cast<long long>(a) / 1000003);
    out[n++] = static_cast<unsigned long long>(__popcll(a));
    out[n++] = static_cast<unsigned long long>(__clzll(static_cast<long long>(a)));
    out[n++] = static_cast<unsigned long long>(__ffsll(static_cast<long long>(a)));
    out[n++] = static_cast<unsigned long long>(__double_as_longlong(__longlong_as_double(static_cast<long long>(a))));
    out[n++] = (a >> 13 ^ b << 7) - static_cast<unsigned>(a);
    out[n++] = a < b ? a : b;
}

__global__ void conversion_kernel(long long* out, float x, double y) {
    int n = 0;
    out[n++] = __float2int_rn(x);
    out[n++] = __float2int_rz(x);
    out[n++] = __float2int_rd(x);
    out[n++] = __float2int_ru(x);
    out[n++] = __float2uint_rn(x);
    out[n++] = __float2ll_rn(x);
    out[n++] = __double2int_rn(y);
    out[n++] = __double2ll_rn(y);
    out[n++] = __double2ll_rz(y);
}

__global__ void float_kernel(float* out, float a, float b, float c) {
    int n = 0;
    out[n++] = __fmaf_rn(a, b, c);
    out[n++] = __fadd_rn(__fmul_rn(a, b), c);
    out[n++] = __fsub_rn(a, b);
    out[n++] = __fdiv_rn(a, b);
    out[n++] = __fsqrt_rn(fabsf(a));
    out[n++] = fminf(a, b);
    out[n++] = fmaxf(a, b);
    out[n++] = __ll2float_rn(static_cast<long long>(1) << 40 | 1);
    out[n++] = __uint2float_rn(0xffffffffu);
    out[n++] = __saturatef(a);
    out[n++] = floorf(a) + rintf(b) * 4096.0f;
    out[n++] = a < b ? c : -c;
}

__global__ void double_kernel(double* out, double a, double b, double c) {
    int n = 0;
    out[n++] = __fma_rn(a, b, c);
    out[n++] = __dadd_rn(__dmul_rn(a, b), c);
    out[n++] = __dsub_rn(a, b);
    out[n++] = a / b;
    out[n++] = sqrt(fabs(a));
    out[n++] = __ll2double_rn(-123456789012345678ll);
    out[n++] = static_cast<double>(static_cast<float>(a));
    out[n++] = fmin(a, b) + fmax(a, c);
    out[n++] = floor(a) + rint(b);
}

__global__ void warp_kernel(unsigned* out, unsigned mask) {
    const unsigned lane = threadIdx.x, value = lane * lane + 1;
    unsigned* at = out + lane;
    const auto put = [&](unsigned result) {
        *at = result;
        at += blockDim.x;
    };
    put(__shfl_sync(mask, value, 3));
    put(__shfl_sync(mask, value, static_cast<int>(lane) + 1, 4));
    put(__shfl_up_sync(mask, value, 2));
    put(__shfl_down_sync(mask, value, 1, 8));
    put(__shfl_xor_sync(mask, value, 1));
    put(__float_as_uint(__shfl_xor_sync(mask, static_cast<float>(value), 2)));
    put(static_cast<unsigned>(__shfl_xor_sync(mask, static_cast<unsigned long long>(value) << 32, 1) >> 32));
    put(__ballot_sync(mask, lane % 3 == 0));
    put(static_cast<unsigned>(__any_sync(mask, lane == 2)));
    put(static_cast<unsigned>(__all_sync(mask, lane < 64)));
    put(static_cast<unsigned>(__all_sync(mask, lane != 2)));
    put(__match_any_sync(mask, lane % 4));
#if defined(SILOSUM_CUDA_EMULATED) || __CUDA_ARCH__ >= 800
    put(__reduce_add_sync(mask, value));
    put(__reduce_max_sync(mask, value));
    put(__reduce_xor_sync(mask, value));
    put(static_cast<unsigned>(__reduce_min_sync(mask, -static_cast<int>(value))));
#endif
}

__global__ void barrier_kernel(int* out, int threads) {
    const auto i = static_cast<int>(threadIdx.x);
    const int count = __syncthreads_count(i % 2 == 0), any = __syncthreads_or(i == 1), all = __syncthreads_and(i < threads - 1);
    out[i] = count * 4 + (any != 0 ? 2 : 0) + (all != 0 ? 1 : 0);
}

__global__ void atomic_kernel(Atomics* out) {
    __shared__ int in_shared;
    const auto i = static_cast<int>(threadIdx.x);
    if (i == 0) in_shared = 0;
    __syncthreads();
    atomicAdd(&in_shared, i);
    atomicMax(&out->largest, i);
    atomicMin(&out->smallest, -i);
    atomicOr(&out->either, 1u << i % 32);
    atomicAnd(&out->both, ~(1u << i % 32));
    atomicXor(&out->exclusive, 1u << i % 32);
    atomicCAS(&out->last, static_cast<unsigned>(i), static_cast<unsigned>(i) + 1);  // only in order of the threads
    atomicAdd(&out->wide_sum, 0x100000000ull + static_cast<unsigned>(i));
    atomicAdd(&out->float_sum, 0.5f);
    atomicAdd(&out->double_sum, 0.25);
    // A lock-free maximum of floats, as CUDA has none.
    unsigned seen = atomicExch(&out->count, 0u);
    while (atomicCAS(&out->count, 0u, seen + 1) != 0) seen += atomicExch(&out->count, 0u);
    __syncthreads();
    if (i == 0) out->sum = in_shared;
}

__constant__ double factors[4] = {1.0, 10.0, 100.0, 1000.0};
__constant__ int offsets[4];

[[gnu::noinline]] __device__ double called(double a, Weights weights, int which) {
    if (which > 2) return a * weights.values[which % 3];
    return a - weights.values[which % 3];
}

template <int size, class T>
__global__ void feature_kernel(T* out, Weights weights, int which) {
    T local[size];
    for (int i = 0; i < size; ++i) local[i] = static_cast<T>(i * i);
    out[0] = local[which % size];
    out[1] = weights.values[which % 3] + weights.first + weights.last;
    out[2] = factors[which % 4] + offsets[which % 4];
    switch (which) {
        case 0:
            out[3] = 5;
            break;
        case 1:
            out[3] = out[1] * 2;
            break;
        case 2:
            out[3] = -1;
            break;
        case 3:
            out[3] = factors[3];
            break;
        case 4:
            out[3] = weights.first;
            break;
        case 5:
            out[3] = 0.125;
            break;
        default:
            out[3] = 77;
    }
    out[4] = called(static_cast<double>(which), weights, which);
}

struct alignas(8) Mixed {
    unsigned char a;
    signed char b;
    unsigned short c;
    short d;
};

__global__ void vector_kernel(unsigned char* out, const unsigned char* in) {
    *reinterpret_cast<uint4*>(out) = *reinterpret_cast<const uint4*>(in);
    *reinterpret_cast<ulonglong2*>(out + 16) = *reinterpret_cast<const ulonglong2*>(in + 16);
    *reinterpret_cast<float2*>(out + 32) = *reinterpret_cast<const float2*>(in + 32);
    *reinterpret_cast<uchar4*>(out + 40) = *reinterpret_cast<const uchar4*>(in + 40);
    *reinterpret_cast<char2*>(out + 44) = *reinterpret_cast<const char2*>(in + 44);
    out[46] = __ldg(in + 46);
    out[47] = in[47];
    const auto& mixed = *reinterpret_cast<const Mixed*>(in + 48);
    auto& target = *reinterpret_cast<Mixed*>(out + 48);
    target.a = static_cast<unsigned char>(mixed.a + 1);
    target.b = static_cast<signed char>(mixed.b / 2);
    target.c = static_cast<unsigned short>(mixed.c * 3);
    target.d = static_cast<short>(mixed.d >> 3);
}

// The wrapper that the project's kernels would have, with its twin for the emulator.
__device__ void copy_async(int* to_shared, const int* from_global) {
#if defined(SILOSUM_CUDA_EMULATED)
    emulator::copy_async(to_shared, from_global, 16);
#elif __CUDA_ARCH__ >= 800
    const auto to = static_cast<unsigned>(__cvta_generic_to_shared(to_shared));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from_global) : "memory");
#else
    for (int i = 0; i < 4; ++i) to_shared[i] = from_global[i];
#endif
}
__device__ void commit_copies() {
#if defined(SILOSUM_CUDA_EMULATED)
    emulator::commit_copies();
#elif __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int groups>
__device__ void wait_copies() {
#if defined(SILOSUM_CUDA_EMULATED)
    emulator::wait_copies(groups);
#elif __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
#endif
}

template <Leave leave>
__global__ void copy_kernel(int* out, const int* in) {
    auto* buffer = dynamic_shared<int>();
    const int size = static_cast<int>(blockDim.x) * 4, first = static_cast<int>(threadIdx.x) * 4;
    for (int half = 0; half < 2; ++half) {
        copy_async(buffer + half * size + first, in + half * size + first);
        commit_copies();
    }
    for (int half = 0; half < 2; ++half) {
        if constexpr (leave != Leave::wait) half == 0 ? wait_copies<1>() : wait_copies<0>();
        if constexpr (leave != Leave::barrier) __syncthreads();
        for (int i = first; i < first + 4; ++i) out[half * size + i] = buffer[half * size + size - 1 - i];
    }
    wait_copies<0>();
}

}  // namespace

std::vector<unsigned> bit_functions(unsigned a, unsigned b, unsigned c) {
    const DeviceArray<unsigned> out(18);
    launch(bit_kernel, {}, out.data(), a, b, c);
    return out.host();
}
std::vector<unsigned long long> wide_functions(unsigned long long a, unsigned long long b) {
    const DeviceArray<unsigned long long> out(12);
    launch(wide_kernel, {}, out.data(), a, b);
    return out.host();
}
std::vector<long long> conversions(float x, double y) {
    const DeviceArray<long long> out(9);
    launch(conversion_kernel, {}, out.data(), x, y);
    return out.host();
}
std::vector<float> float_functions(float a, float b, float c) {
    const DeviceArray<float> out(12);
    launch(float_kernel, {}, out.data(), a, b, c);
    return out.host();
}
std::vector<double> double_functions(double a, double b, double c) {
    const DeviceArray<double> out(9);
    launch(double_kernel, {}, out.data(), a, b, c);
    return out.host();
}
std::vector<unsigned> warp_functions(unsigned lanes) {
    const DeviceArray<unsigned> out(std::vector<unsigned>(lanes * 16, 0));
    launch(warp_kernel, {1, lanes}, out.data(), 0xffffffffu);
    return out.host();
}
std::vector<int> barrier_functions(int threads) {
    const DeviceArray<int> out(static_cast<std::size_t>(threads));
    launch(barrier_kernel, {1, static_cast<unsigned>(threads)}, out.data(), threads);
    return out.host();
}
Atomics atomic_functions(unsigned threads) {
    const DeviceArray<Atomics> out(std::vector<Atomics>{{0, -1, 1, 0, ~0u, 0, 0, 0, 0, 0, 0}});
    launch(atomic_kernel, {1, threads}, out.data());
    return out.host().front();
}
std::vector<double> language_features(const Weights& weights, int which) {
    const int host[4] = {5, 6, 7, 8};
    require_success(cudaMemcpyToSymbol(offsets, host, sizeof host));
    const DeviceArray<double> out(5);
    launch(feature_kernel<6, double>, {}, out.data(), weights, which);
    return out.host();
}
std::vector<unsigned char> vector_accesses(const std::vector<unsigned char>& sixty_four_bytes) {
    const DeviceArray<unsigned char> in(sixty_four_bytes), out(std::vector<unsigned char>(64, 0));
    launch(vector_kernel, {}, out.data(), in.data());
    return out.host();
}
std::vector<int> copies_reversed(const std::vector<int>& values, Leave leave) {
    const DeviceArray<int> in(values), out(values.size());
    const Shape shape{1, static_cast<unsigned>(values.size() / 8), values.size() * sizeof(int)};
    switch (leave) {
        case Leave::nothing:
            launch(copy_kernel<Leave::nothing>, shape, out.data(), in.data());
            break;
        case Leave::wait:
            launch(copy_kernel<Leave::wait>, shape, out.data(), in.data());
            break;
        case Leave::barrier:
            launch(copy_kernel<Leave::barrier>, shape, out.data(), in.data());
            break;
    }
    return out.host();
}

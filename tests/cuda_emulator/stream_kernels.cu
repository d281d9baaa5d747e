#include <functional>

#include "tests/cuda_emulator/kernel.cuh"

namespace {

__global__ void multiply_add_kernel(int* values, int factor, int summand, int size) {
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < size) values[i] = values[i] * factor + summand;
}

__global__ void copy_kernel(int* to, const int* from, int size) {
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < size) to[i] = from[i];
}

__global__ void trap_kernel() {
    __trap();
}

__global__ void empty_kernel() {}

__global__ void pointer_kernel(int number, const float* first, float* second) {
    if (first != nullptr && second != nullptr) second[0] = first[0] + static_cast<float>(number);
}

unsigned blocks_for(int size) {
    return static_cast<unsigned>((size + 31) / 32);
}

}  // namespace

void multiply_add(int* values, int factor, int summand, int size, cudaStream_t stream) {
    launch(multiply_add_kernel, {blocks_for(size), 32, 0, stream}, values, factor, summand, size);
}
cudaError_t with_multiply_add(int* values, int factor, int summand, int size,
                              const std::function<cudaError_t(const cudaKernelNodeParams&)>& use) {
    introduce(multiply_add_kernel, {});
    void* arguments[] = {&values, &factor, &summand, &size};
    cudaKernelNodeParams launch{};
    launch.func = reinterpret_cast<void*>(multiply_add_kernel);
    launch.gridDim = dim3(blocks_for(size));
    launch.blockDim = dim3(32);
    launch.kernelParams = arguments;
    const cudaError_t error = use(launch);
    values = nullptr;
    factor = summand = size = -1;
    return error;
}
void copy_values(int* to, const int* from, int size, cudaStream_t stream) {
    launch(copy_kernel, {blocks_for(size), 32, 0, stream}, to, from, size);
}
void trap(cudaStream_t stream) {
    launch(trap_kernel, {1, 1, 0, stream});
}
void launch_empty(unsigned blocks_x, unsigned blocks_y, unsigned threads, std::size_t shared_bytes, cudaStream_t stream) {
    launch(empty_kernel, {dim3(blocks_x, blocks_y), threads, shared_bytes, stream});
}
cudaError_t allow_shared_for_empty(int bytes) {
    return cudaFuncSetAttribute(empty_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
}
void take_pointers(int number, const float* first, float* second) {
    launch(pointer_kernel, {}, number, first, second);
}

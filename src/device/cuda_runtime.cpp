// The calls of the CUDA runtime that are not kernels. Compiled by the host compiler, against CUDA or against the emulator of the tests.
#include <array>
#include <optional>

#include <fmt/format.h>

#include "base/error.hpp"
#include "device/cuda.cuh"
#include "device/cuda_graph.hpp"
#include "device/devices.hpp"

namespace silosum {

namespace cuda {

void check(cudaError_t status, Where where) {
    if (status == cudaSuccess) return;
    (void)cudaGetLastError();  // or the next launch would be blamed
    throw RuntimeError(fmt::format("CUDA: {} ({}) at {}:{}", cudaGetErrorString(status), cudaGetErrorName(status), where.file, where.line));
}

void fail(const std::string& message) {
    throw RuntimeError(message);
}

}  // namespace cuda

using cuda::check;

namespace {

// The answer to a question; the next launch would take "not ready" for its own error.
bool is_success(cudaError_t answer) {
    if (answer != cudaErrorNotReady)
        check(answer);
    else
        (void)cudaGetLastError();
    return answer == cudaSuccess;
}

void* allocate_on(int device, std::size_t bytes) {
    check(cudaSetDevice(device));
    void* memory = nullptr;
    const cudaError_t status = cudaMalloc(&memory, bytes);
    if (status == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError();
        std::size_t unused = 0;
        std::size_t all = 0;
        check(cudaMemGetInfo(&unused, &all));
        throw RuntimeError(
            fmt::format("GPU {} has no room for {} bytes more, {} of its {} are free: let fewer ranks share it, start more ranks so "
                        "that each hosts fewer silos, lower local.batch_size, or set run.device = cpu",
                        device, bytes, unused, all));
    }
    check(status);
    return memory;
}

}  // namespace

struct CudaStream::State {
    int device = 0;
    cudaStream_t handle = nullptr;
    void* workspace = nullptr;
    std::size_t workspace_bytes = 0;
    std::optional<cuda::Graphs> graphs;

    State(const State&) = delete;
    State& operator=(const State&) = delete;
    explicit State(int index) : device(index) {
        check(cudaSetDevice(device));
        check(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking));
        graphs.emplace(handle);
    }
    ~State() {
        (void)cudaStreamSynchronize(handle);
        (void)cudaFree(workspace);
        (void)cudaStreamDestroy(handle);
    }
};

CudaStream::CudaStream(int device) : state_(std::make_shared<State>(device)), device_(device) {}

CUstream_st* CudaStream::handle() const {
    state_->graphs->give_up();
    return state_->handle;
}

cuda::Graphs& CudaStream::graphs() const {
    return *state_->graphs;
}

void CudaStream::run_as_graph(const std::function<void()>& work) const {
    cuda::Graphs& graphs = *state_->graphs;
    graphs.begin();
    try {
        work();
    } catch (...) {
        graphs.forget();
        throw;
    }
    graphs.launch();
}

void CudaStream::wait() const {
    check(cudaStreamSynchronize(handle()));
}

void* CudaStream::workspace(std::size_t bytes) const {
    if (bytes > state_->workspace_bytes) {
        wait();
        check(cudaFree(state_->workspace));
        state_->workspace = nullptr;
        state_->workspace_bytes = 0;
        state_->workspace = allocate_on(device_, bytes);
        state_->workspace_bytes = bytes;
    }
    return state_->workspace;
}

std::shared_ptr<void> CudaStream::allocate(std::size_t bytes) const {
    void* memory = allocate_on(device_, bytes);
    // The stream lives as long as memory that its work may still use.
    std::shared_ptr<void> owner(memory, [state = state_](void* freed) {
        state->graphs->give_up_in_silence();  // a recorded kernel may use it
        (void)cudaStreamSynchronize(state->handle);
        (void)cudaFree(freed);
    });
    fill_with_zeros(memory, bytes);
    return owner;
}

void CudaStream::copy_to_device(const void* host, void* device, std::size_t bytes) const {
    if (bytes > 0) check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, handle()));
}

void CudaStream::copy_to_host(const void* device, void* host, std::size_t bytes) const {
    if (bytes > 0) check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, handle()));
}

void CudaStream::copy_on_device(const void* from, void* to, std::size_t bytes) const {
    if (bytes > 0) check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, handle()));
}

void CudaStream::fill_with_zeros(void* device, std::size_t bytes) const {
    if (bytes > 0) check(cudaMemsetAsync(device, 0, bytes, handle()));
}

bool CudaStream::is_done() const {
    return is_success(cudaStreamQuery(handle()));
}

bool CudaMark::is_reached() const {
    return is_success(cudaEventQuery(handle_));
}

CudaMark::CudaMark() {
    check(cudaEventCreateWithFlags(&handle_, cudaEventDisableTiming));
}

CudaMark::~CudaMark() {
    (void)cudaEventDestroy(handle_);
}

void CudaMark::set(const CudaStream& stream) {
    check(cudaEventRecord(handle_, stream.handle()));
}

void CudaMark::hold(const CudaStream& stream) const {
    check(cudaStreamWaitEvent(stream.handle(), handle_, 0));
}

namespace cuda {

std::string toolkit() {
    if (SILOSUM_CUDA_VERSION == 0) return "emulated";
    return fmt::format("{}.{}", SILOSUM_CUDA_VERSION / 1000, SILOSUM_CUDA_VERSION % 1000 / 10);
}

std::vector<DeviceFacts> list_devices() {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    // Without a driver or without a GPU the count is not set.
    int driver = 0;
    const bool has_driver = cudaDriverGetVersion(&driver) == cudaSuccess && driver != 0;
    require<RuntimeError>(status == cudaSuccess || has_driver, "no CUDA device: this machine has no NVIDIA driver");
    require<RuntimeError>(status == cudaSuccess && count > 0, "no CUDA device: {}",
                          status == cudaSuccess ? "the driver shows none" : cudaGetErrorString(status));
    std::vector<DeviceFacts> devices;
    for (int i = 0; i < count; ++i) {
        cudaDeviceProp facts{};
        check(cudaGetDeviceProperties(&facts, i));
        std::array<char, 32> bus_id{};
        check(cudaDeviceGetPCIBusId(bus_id.data(), static_cast<int>(bus_id.size()), i));
        devices.push_back({.name = facts.name,
                           .memory_bytes = facts.totalGlobalMem,
                           .major = facts.major,
                           .minor = facts.minor,
                           .multiprocessors = facts.multiProcessorCount,
                           .bus_id = bus_id.data()});
    }
    return devices;
}

}  // namespace cuda

}  // namespace silosum

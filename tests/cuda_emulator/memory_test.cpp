// Device memory, devices, and launches that CUDA refuses.
#include <gmock/gmock.h>

#include "tests/cuda_emulator/device_array.hpp"
#include "tests/cuda_emulator/stream_kernels.hpp"

namespace {

using Ints = std::vector<int>;

std::string message_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const emulator::Error& error) {
        return error.what();
    }
    return "nothing was thrown";
}

TEST(DeviceMemory, HostCannotTouchIt) {
    const DeviceArray<int> values(Ints{1, 2, 3});
    const volatile int* address = values.data();
    EXPECT_DEATH(static_cast<void>(address[1]), "");
}

TEST(DeviceMemory, NewMemoryIsPoisonAndAllIsGivenBack) {
    const std::size_t before = emulator::allocated_bytes();
    {
        const DeviceArray<int> values(3);
        EXPECT_EQ(values.host(), Ints(3, -1));
        EXPECT_EQ(emulator::allocated_bytes(), before + 3 * sizeof(int));
    }
    EXPECT_EQ(emulator::allocated_bytes(), before);
}

TEST(DeviceMemory, RunsOutWhereTheDeviceEnds) {
    emulator::set_device_memory(1 << 20);
    std::size_t free_bytes = 0, total = 0;
    void *first = nullptr, *second = nullptr;
    EXPECT_EQ(cudaMalloc(&first, 1 << 19), cudaSuccess);
    EXPECT_EQ(cudaMemGetInfo(&free_bytes, &total), cudaSuccess);
    EXPECT_EQ(free_bytes, std::size_t{1} << 19);
    EXPECT_EQ(total, std::size_t{1} << 20);
    EXPECT_EQ(cudaMalloc(&second, (1 << 19) + 1), cudaErrorMemoryAllocation);
    EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
    EXPECT_EQ(cudaFree(first), cudaSuccess);
    EXPECT_EQ(cudaFree(first), cudaErrorInvalidValue);
    cudaGetLastError();
    emulator::set_device_memory(std::size_t{4} << 30);
}

TEST(DeviceMemory, CopiesMustStayInsideAndGoTheWayTheySay) {
    const DeviceArray<int> values(4);
    Ints host(8);
    EXPECT_EQ(cudaMemcpy(values.data(), host.data(), 17, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemcpy(values.data() + 1, host.data(), 16, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemcpy(values.data(), host.data(), 16, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemcpy(host.data(), host.data() + 4, 16, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemset(values.data() + 1, 0, 16), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemset(host.data(), 0, 16), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemcpy(values.data(), host.data(), 16, cudaMemcpyDefault), cudaSuccess);
    cudaGetLastError();
}

TEST(DeviceMemory, AsynchronousAllocationFollowsItsStream) {
    int wrong = 0;
    for (unsigned seed = 0; seed < 8; ++seed) {
        emulator::set_seed(seed);
        cudaStream_t own = nullptr, other = nullptr;
        require_success(cudaStreamCreateWithFlags(&own, cudaStreamNonBlocking));
        require_success(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
        int* values = nullptr;
        require_success(cudaMallocAsync(&values, sizeof(int), own));
        require_success(cudaMemsetAsync(values, 0, sizeof(int), own));
        require_success(cudaFreeAsync(values, own));
        EXPECT_EQ(cudaMemsetAsync(values, 0, sizeof(int), own), cudaErrorInvalidValue);
        EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
        require_success(cudaStreamSynchronize(own));
        EXPECT_EQ(emulator::allocated_bytes(), 0u);

        require_success(cudaMallocAsync(&values, sizeof(int), own));
        require_success(cudaMemsetAsync(values, 0, sizeof(int), other));  // does not wait for the allocation
        const std::string message = message_of([&] { cudaStreamSynchronize(other); });
        if (message != "nothing was thrown") {
            EXPECT_THAT(message, testing::HasSubstr("whose cudaMallocAsync has not run yet"));
            ++wrong;
        }
        require_success(cudaFree(values));
        require_success(cudaStreamDestroy(own));
        require_success(cudaStreamDestroy(other));
    }
    emulator::set_seed(0);
    EXPECT_GT(wrong, 0);
}

TEST(DeviceMemory, PinnedMemoryIsTheHosts) {
    int* pinned = nullptr;
    require_success(cudaMallocHost(&pinned, 4 * sizeof(int)));
    pinned[3] = 1;
    cudaPointerAttributes attributes;
    require_success(cudaPointerGetAttributes(&attributes, pinned + 3));
    EXPECT_EQ(attributes.type, cudaMemoryTypeHost);
    const DeviceArray<int> values(4);
    require_success(cudaPointerGetAttributes(&attributes, values.data() + 3));
    EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
    require_success(cudaPointerGetAttributes(&attributes, &attributes));
    EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);
    EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
    EXPECT_EQ(cudaFreeHost(pinned), cudaErrorInvalidValue);
    cudaGetLastError();
}

TEST(Launches, HostPointerIsNamedByItsArgument) {
    const DeviceArray<float> values(1);
    float host = 0;
    EXPECT_THAT(message_of([&] { take_pointers(1, values.data(), &host); }), testing::HasSubstr("argument 2 is not a device pointer"));
    EXPECT_THAT(message_of([&] { take_pointers(1, &host, values.data()); }), testing::HasSubstr("argument 1 is not a device pointer"));
    take_pointers(1, nullptr, values.data());
}

TEST(Launches, FreedPointerIsNone) {
    float* freed = nullptr;
    require_success(cudaMalloc(&freed, 4));
    require_success(cudaFree(freed));
    EXPECT_THAT(message_of([&] { take_pointers(1, freed, nullptr); }), testing::HasSubstr("argument 1 is not a device pointer"));
}

TEST(Launches, ShapesBeyondTheLimitsAreRefused) {
    launch_empty(1, 1, 1024, 48 * 1024);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    launch_empty(1, 1, 2048, 0);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
    launch_empty(1, 65536, 1, 0);
    EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidConfiguration);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
    launch_empty(0, 1, 1, 0);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
}

TEST(Launches, MoreSharedMemoryMustBeAskedFor) {
    launch_empty(1, 1, 32, 48 * 1024 + 1);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
    EXPECT_EQ(allow_shared_for_empty(227 * 1024 + 1), cudaErrorInvalidValue);
    EXPECT_EQ(allow_shared_for_empty(227 * 1024), cudaSuccess);
    cudaGetLastError();
    launch_empty(1, 1, 32, 227 * 1024);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    EXPECT_EQ(allow_shared_for_empty(0), cudaSuccess);
}

class SeveralDevices : public testing::Test {
protected:
    void SetUp() override { emulator::set_devices(3); }
    void TearDown() override {
        cudaGetLastError();
        emulator::set_devices(1);
    }
};

TEST_F(SeveralDevices, AreCountedAndChosen) {
    int count = 0, device = -1;
    EXPECT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
    EXPECT_EQ(count, 3);
    EXPECT_EQ(cudaSetDevice(2), cudaSuccess);
    EXPECT_EQ(cudaGetDevice(&device), cudaSuccess);
    EXPECT_EQ(device, 2);
    EXPECT_EQ(cudaSetDevice(3), cudaErrorInvalidDevice);
    cudaDeviceProp properties;
    EXPECT_EQ(cudaGetDeviceProperties(&properties, 2), cudaSuccess);
    EXPECT_STREQ(properties.name, "emulated");
    EXPECT_EQ(properties.warpSize, 32);
}

TEST_F(SeveralDevices, KernelMayNotUseMemoryOfAnotherOne) {
    require_success(cudaSetDevice(1));
    const DeviceArray<float> elsewhere(1);
    require_success(cudaSetDevice(0));
    const DeviceArray<float> here(std::vector<float>{2.0f});
    EXPECT_THAT(message_of([&] { take_pointers(1, here.data(), elsewhere.data()); }),
                testing::HasSubstr("argument 2 is memory of device 1"));
    require_success(cudaDeviceEnablePeerAccess(1, 0));
    take_pointers(1, here.data(), elsewhere.data());
    EXPECT_EQ(elsewhere.host(), std::vector<float>{3.0f});
    EXPECT_EQ(cudaMemcpyPeerAsync(here.data(), 0, elsewhere.data(), 1, 4), cudaSuccess);
    EXPECT_EQ(here.host(), std::vector<float>{3.0f});
}

TEST_F(SeveralDevices, StreamBelongsToItsDevice) {
    cudaStream_t stream = nullptr;
    require_success(cudaStreamCreate(&stream));
    require_success(cudaSetDevice(1));
    launch_empty(1, 1, 1, 0, stream);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidResourceHandle);
    require_success(cudaSetDevice(0));
    launch_empty(1, 1, 1, 0, stream);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    require_success(cudaStreamDestroy(stream));
}

TEST_F(SeveralDevices, NoneIsAnErrorOfEveryCall) {
    emulator::set_devices(0);
    int count = -1;
    void* memory = nullptr;
    EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
    EXPECT_EQ(cudaMalloc(&memory, 1), cudaErrorNoDevice);
    EXPECT_STREQ(cudaGetErrorName(cudaErrorNoDevice), "cudaErrorNoDevice");
    EXPECT_STREQ(cudaGetErrorString(cudaErrorNoDevice), "no CUDA-capable device is detected");
}

}  // namespace

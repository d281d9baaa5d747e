// Streams and events: what waits for what, and that a missing wait is seen.
#include <gmock/gmock.h>

#include "tests/cuda_emulator/device_array.hpp"
#include "tests/cuda_emulator/stream_kernels.hpp"

namespace {

constexpr int size = 40;
constexpr std::size_t bytes = size * sizeof(int);
using Ints = std::vector<int>;

class Streams : public testing::TestWithParam<unsigned> {
protected:
    void SetUp() override {
        emulator::set_seed(GetParam());
        for (cudaStream_t* stream : {&first, &second}) require_success(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking));
        require_success(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    }
    void TearDown() override {
        EXPECT_EQ(cudaEventDestroy(event), cudaSuccess);
        EXPECT_EQ(cudaStreamDestroy(first), cudaSuccess);
        EXPECT_EQ(cudaStreamDestroy(second), cudaSuccess);
        EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    }
    cudaStream_t first = nullptr, second = nullptr;
    cudaEvent_t event = nullptr;
};

TEST_P(Streams, ResultIsThereAfterTheWaitAndNotBefore) {
    const DeviceArray<int> values(Ints(size, 1));
    Ints host(size, 0);
    multiply_add(values.data(), 2, 3, size, first);
    require_success(cudaMemcpyAsync(host.data(), values.data(), bytes, cudaMemcpyDeviceToHost, first));
    EXPECT_EQ(host, Ints(size, 0));
    require_success(cudaStreamSynchronize(first));
    EXPECT_EQ(host, Ints(size, 5));
}

TEST_P(Streams, HostBufferThatIsReusedTooEarlyIsSeen) {
    const DeviceArray<int> values(size);
    Ints host(size, 1);
    require_success(cudaMemcpyAsync(values.data(), host.data(), bytes, cudaMemcpyHostToDevice, first));
    host.assign(size, 2);
    require_success(cudaStreamSynchronize(first));
    EXPECT_EQ(values.host(), Ints(size, 2));
}

// One stream writes, another one copies what it wrote.
bool producer_and_consumer_agree(cudaStream_t producer, cudaStream_t consumer, cudaEvent_t event, bool wait) {
    const DeviceArray<int> values(Ints(size, 1)), copy(size);
    multiply_add(values.data(), 0, 7, size, producer);
    require_success(cudaEventRecord(event, producer));
    if (wait) require_success(cudaStreamWaitEvent(consumer, event));
    copy_values(copy.data(), values.data(), size, consumer);
    require_success(cudaStreamSynchronize(consumer));
    require_success(cudaStreamSynchronize(producer));
    return copy.host() == Ints(size, 7);
}

TEST_P(Streams, WaitForAnEventOrdersTwoStreams) {
    EXPECT_TRUE(producer_and_consumer_agree(first, second, event, true));
}

TEST_P(Streams, OnlyWhatWasRecordedBeforeTheWaitIsWaitedFor) {
    const DeviceArray<int> values(Ints(size, 1));
    require_success(cudaStreamWaitEvent(second, event));  // never recorded
    multiply_add(values.data(), 2, 0, size, first);
    require_success(cudaEventRecord(event, first));
    require_success(cudaStreamWaitEvent(second, event));
    multiply_add(values.data(), 1, 1, size, second);
    require_success(cudaEventRecord(event, second));
    require_success(cudaEventSynchronize(event));
    EXPECT_EQ(values.host(), Ints(size, 3));
    EXPECT_EQ(cudaEventQuery(event), cudaSuccess);
}

TEST_P(Streams, NullStreamWaitsForBlockingStreamsOnly) {
    cudaStream_t blocking = nullptr;
    require_success(cudaStreamCreate(&blocking));
    const DeviceArray<int> values(Ints(size, 1));
    multiply_add(values.data(), 2, 0, size, blocking);
    EXPECT_EQ(values.host(), Ints(size, 2));
    multiply_add(values.data(), 2, 0, size, first);
    EXPECT_EQ(values.host(), Ints(size, 2));
    require_success(cudaStreamDestroy(blocking));
    require_success(cudaDeviceSynchronize());
    EXPECT_EQ(values.host(), Ints(size, 4));
}

TEST_P(Streams, LoopsThatAskComeToAnEnd) {
    const DeviceArray<int> values(Ints(size, 1));
    for (int i = 0; i < 3; ++i) multiply_add(values.data(), 2, 0, size, first);
    EXPECT_EQ(cudaStreamQuery(first), cudaErrorNotReady);
    while (cudaStreamQuery(first) == cudaErrorNotReady) EXPECT_EQ(cudaGetLastError(), cudaErrorNotReady);
    EXPECT_EQ(values.host(), Ints(size, 8));
    require_success(cudaEventRecord(event, second));
    while (cudaEventQuery(event) == cudaErrorNotReady) EXPECT_EQ(cudaGetLastError(), cudaErrorNotReady);
    cudaGetLastError();
}

TEST_P(Streams, HostFunctionRunsInItsPlace) {
    const DeviceArray<int> values(Ints(size, 1));
    Ints host(size);
    struct Seen {
        Ints* host;
        int value;
    } seen{&host, 0};
    multiply_add(values.data(), 0, 9, size, first);
    require_success(cudaMemcpyAsync(host.data(), values.data(), bytes, cudaMemcpyDeviceToHost, first));
    const auto look = [](void* data) { static_cast<Seen*>(data)->value = static_cast<Seen*>(data)->host->back(); };
    require_success(cudaLaunchHostFunc(first, look, &seen));
    EXPECT_EQ(seen.value, 0);
    require_success(cudaStreamSynchronize(first));
    EXPECT_EQ(seen.value, 9);
}

TEST_P(Streams, AfterAFailureNothingQueuedRuns) {
    const DeviceArray<int> values(Ints(size, 1));
    multiply_add(values.data(), 2, 0, size, first);
    trap(first);
    multiply_add(values.data(), 2, 0, size, first);
    EXPECT_THROW(cudaStreamSynchronize(first), emulator::Error);
    EXPECT_EQ(cudaStreamSynchronize(first), cudaSuccess);
    EXPECT_EQ(values.host(), Ints(size, 2));
}

TEST_P(Streams, FreeingDoesNotThrowButTheNextCallDoes) {
    int* values = nullptr;
    require_success(cudaMalloc(&values, bytes));
    trap(first);
    testing::internal::CaptureStderr();
    EXPECT_EQ(cudaFree(values), cudaErrorLaunchFailure);
    EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("stream_kernels.cu"));
    EXPECT_THROW(cudaStreamSynchronize(first), emulator::Error);
    EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
}

TEST_P(Streams, HandlesThatAreGoneAreRefused) {
    cudaStream_t gone = nullptr;
    require_success(cudaStreamCreate(&gone));
    require_success(cudaStreamDestroy(gone));
    EXPECT_EQ(cudaStreamSynchronize(gone), cudaErrorInvalidResourceHandle);
    launch_empty(1, 1, 1, 0, gone);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidResourceHandle);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Streams, testing::Range(0u, 4u));

TEST(MissingWait, IsSeenUnderSomeSeeds) {
    cudaStream_t producer = nullptr, consumer = nullptr;
    cudaEvent_t event = nullptr;
    require_success(cudaStreamCreateWithFlags(&producer, cudaStreamNonBlocking));
    require_success(cudaStreamCreateWithFlags(&consumer, cudaStreamNonBlocking));
    require_success(cudaEventCreate(&event));
    int wrong = 0;
    for (unsigned seed = 0; seed < 8; ++seed) {
        emulator::set_seed(seed);
        wrong += producer_and_consumer_agree(producer, consumer, event, false) ? 0 : 1;
    }
    EXPECT_GT(wrong, 0);
    EXPECT_LT(wrong, 8);
    require_success(cudaStreamDestroy(producer));
    require_success(cudaStreamDestroy(consumer));
    require_success(cudaEventDestroy(event));
}

TEST(Events, ElapsedTimeIsNoneAndOnlyOfEventsThatTime) {
    cudaEvent_t start = nullptr, end = nullptr, untimed = nullptr;
    require_success(cudaEventCreate(&start));
    require_success(cudaEventCreate(&end));
    require_success(cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming));
    float milliseconds = -1;
    EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorInvalidResourceHandle);
    for (const cudaEvent_t event : {start, end, untimed}) require_success(cudaEventRecord(event));
    EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaSuccess);
    EXPECT_EQ(milliseconds, 0);
    EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, untimed), cudaErrorInvalidResourceHandle);
    cudaGetLastError();
    for (const cudaEvent_t event : {start, end, untimed}) require_success(cudaEventDestroy(event));
}

}  // namespace

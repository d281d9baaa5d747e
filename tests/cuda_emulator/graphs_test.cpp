// CUDA graphs: captured work runs when the graph is launched, in any order that the capture allows; what may not be captured is refused.
#include <utility>

#include <gmock/gmock.h>

#include "tests/cuda_emulator/device_array.hpp"
#include "tests/cuda_emulator/stream_kernels.hpp"

namespace {

constexpr int size = 40;
using Ints = std::vector<int>;

class Graphs : public testing::TestWithParam<unsigned> {
protected:
    void SetUp() override {
        emulator::set_seed(GetParam());
        for (cudaStream_t* stream : {&origin, &branch}) require_success(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking));
        for (cudaEvent_t* event : {&fork, &join}) require_success(cudaEventCreateWithFlags(event, cudaEventDisableTiming));
    }
    void TearDown() override {
        for (cudaStream_t stream : {origin, branch}) EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
        for (cudaEvent_t event : {fork, join}) EXPECT_EQ(cudaEventDestroy(event), cudaSuccess);
        emulator::set_seed(0);
    }
    void begin() const { require_success(cudaStreamBeginCapture(origin, cudaStreamCaptureModeGlobal)); }
    // Ends the capture and expects it to be broken.
    void expect_end(cudaError_t error) const {
        cudaGraph_t graph = nullptr;
        EXPECT_EQ(cudaStreamEndCapture(origin, &graph), error);
        EXPECT_EQ(graph, nullptr);
        cudaGetLastError();
    }
    [[nodiscard]] cudaGraphExec_t end() const {
        cudaGraph_t graph = nullptr;
        cudaGraphExec_t executable = nullptr;
        require_success(cudaStreamEndCapture(origin, &graph));
        require_success(cudaGraphInstantiate(&executable, graph));
        require_success(cudaGraphDestroy(graph));
        return executable;
    }
    cudaStream_t origin = nullptr, branch = nullptr;
    cudaEvent_t fork = nullptr, join = nullptr;
};

TEST_P(Graphs, WorkRunsAtEachLaunchAndNotAtTheCapture) {
    const DeviceArray<int> values(Ints(size, 1));
    begin();
    multiply_add(values.data(), 2, 1, size, origin);
    multiply_add(values.data(), 3, 0, size, origin);
    const cudaGraphExec_t graph = end();
    require_success(cudaStreamSynchronize(origin));
    EXPECT_EQ(values.host(), Ints(size, 1));
    for (int i = 0; i < 2; ++i) require_success(cudaGraphLaunch(graph, origin));
    EXPECT_EQ(values.host(), Ints(size, 1));
    require_success(cudaStreamSynchronize(origin));
    EXPECT_EQ(values.host(), Ints(size, (9 * 2 + 1) * 3));
    require_success(cudaGraphExecDestroy(graph));
}

TEST_P(Graphs, ForkAndJoinKeepTheirOrder) {
    const DeviceArray<int> left(Ints(size, 1)), right(Ints(size, 1)), sum(size);
    begin();
    multiply_add(left.data(), 2, 0, size, origin);
    require_success(cudaEventRecord(fork, origin));
    require_success(cudaStreamWaitEvent(branch, fork));
    copy_values(right.data(), left.data(), size, branch);
    multiply_add(right.data(), 5, 0, size, branch);
    require_success(cudaEventRecord(join, branch));
    copy_values(sum.data(), left.data(), size, origin);
    require_success(cudaStreamWaitEvent(origin, join));
    copy_values(sum.data(), right.data(), size, origin);
    cudaStreamCaptureStatus status{};
    require_success(cudaStreamIsCapturing(branch, &status));
    EXPECT_EQ(status, cudaStreamCaptureStatusActive);
    const cudaGraphExec_t graph = end();
    require_success(cudaStreamIsCapturing(branch, &status));
    EXPECT_EQ(status, cudaStreamCaptureStatusNone);
    require_success(cudaGraphLaunch(graph, branch));
    require_success(cudaStreamSynchronize(branch));
    EXPECT_EQ(sum.host(), Ints(size, 10));
    require_success(cudaGraphExecDestroy(graph));
}

TEST_P(Graphs, ForkWithoutAJoinIsRefused) {
    const DeviceArray<int> values(Ints(size, 1));
    begin();
    require_success(cudaEventRecord(fork, origin));
    require_success(cudaStreamWaitEvent(branch, fork));
    multiply_add(values.data(), 2, 0, size, branch);
    expect_end(cudaErrorStreamCaptureUnjoined);
}

TEST_P(Graphs, CallsThatWaitBreakTheCapture) {
    void* memory = nullptr;
    begin();
    EXPECT_EQ(cudaStreamSynchronize(origin), cudaErrorStreamCaptureUnsupported);
    expect_end(cudaErrorStreamCaptureInvalidated);
    begin();
    EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorStreamCaptureUnsupported);
    expect_end(cudaErrorStreamCaptureInvalidated);
    begin();
    EXPECT_EQ(cudaStreamQuery(origin), cudaErrorStreamCaptureUnsupported);
    expect_end(cudaErrorStreamCaptureInvalidated);
    begin();
    EXPECT_EQ(cudaMalloc(&memory, 4), cudaErrorStreamCaptureUnsupported);
    expect_end(cudaErrorStreamCaptureInvalidated);
    begin();
    require_success(cudaEventRecord(fork, origin));
    EXPECT_EQ(cudaEventSynchronize(fork), cudaErrorCapturedEvent);
    EXPECT_EQ(cudaEventQuery(fork), cudaErrorCapturedEvent);
    require_success(cudaGraphExecDestroy(end()));
    cudaGetLastError();
}

TEST_P(Graphs, NullStreamBreaksTheCapture) {
    const DeviceArray<int> values(Ints(size, 1));
    begin();
    EXPECT_EQ(cudaMemset(values.data(), 0, 4), cudaErrorStreamCaptureImplicit);
    expect_end(cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(values.host(), Ints(size, 1));
}

TEST_P(Graphs, UncapturedEventMayNotBeWaitedFor) {
    require_success(cudaEventRecord(fork, branch));
    begin();
    EXPECT_EQ(cudaStreamWaitEvent(origin, fork), cudaErrorStreamCaptureIsolation);
    expect_end(cudaErrorStreamCaptureInvalidated);
}

TEST_P(Graphs, CaptureEndsWhereItBegan) {
    cudaGraph_t graph = nullptr;
    begin();
    EXPECT_EQ(cudaStreamBeginCapture(origin, cudaStreamCaptureModeGlobal), cudaErrorInvalidValue);
    require_success(cudaEventRecord(fork, origin));
    require_success(cudaStreamWaitEvent(branch, fork));
    EXPECT_EQ(cudaStreamEndCapture(branch, &graph), cudaErrorStreamCaptureUnmatched);
    expect_end(cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(cudaStreamEndCapture(origin, &graph), cudaErrorInvalidValue);
    cudaGetLastError();
}

TEST_P(Graphs, BufferThatIsGoneIsNamed) {
    int* values = nullptr;
    require_success(cudaMalloc(&values, size * sizeof(int)));
    begin();
    multiply_add(values, 2, 0, size, origin);
    const cudaGraphExec_t graph = end();
    require_success(cudaFree(values));
    require_success(cudaGraphLaunch(graph, origin));
    try {
        cudaStreamSynchronize(origin);
        ADD_FAILURE() << "nothing was thrown";
    } catch (const emulator::Error& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("argument 0 is a buffer that was freed"));
    }
    require_success(cudaGraphExecDestroy(graph));
}

/// A graph of multiply_add nodes, one after the other, made by explicit calls.
class Chain {
public:
    Chain() { require_success(cudaGraphCreate(&graph_, 0)); }
    ~Chain() {
        if (executable_ != nullptr) cudaGraphExecDestroy(executable_);
        if (graph_ != nullptr) cudaGraphDestroy(graph_);
    }
    Chain(const Chain&) = delete;
    Chain& operator=(const Chain&) = delete;

    cudaError_t add(int* values, int factor, int summand) {
        cudaGraphNode_t node = nullptr;
        const cudaGraphNode_t* after = nodes.empty() ? nullptr : &nodes.back();
        const cudaError_t error = with_multiply_add(values, factor, summand, size, [&](const auto& launch) {
            return cudaGraphAddKernelNode(&node, graph_, after, nodes.empty() ? 0 : 1, &launch);
        });
        if (error == cudaSuccess) nodes.push_back(node);
        return error;
    }
    void instantiate() {
        if (executable_ != nullptr) require_success(cudaGraphExecDestroy(executable_));
        require_success(cudaGraphInstantiate(&executable_, graph_));
    }
    [[nodiscard]] cudaError_t set_in_graph(std::size_t node, int* values, int factor, int summand) const {
        return with_multiply_add(values, factor, summand, size,
                                 [&](const auto& launch) { return cudaGraphKernelNodeSetParams(nodes[node], &launch); });
    }
    [[nodiscard]] cudaError_t set(cudaGraphNode_t node, int* values, int factor, int summand) const {
        return with_multiply_add(values, factor, summand, size,
                                 [&](const auto& launch) { return cudaGraphExecKernelNodeSetParams(executable_, node, &launch); });
    }
    void launch(cudaStream_t stream) const { require_success(cudaGraphLaunch(executable_, stream)); }
    void destroy_graph() { require_success(cudaGraphDestroy(std::exchange(graph_, nullptr))); }

    std::vector<cudaGraphNode_t> nodes;

private:
    cudaGraph_t graph_ = nullptr;
    cudaGraphExec_t executable_ = nullptr;
};

TEST_P(Graphs, NodesOfExplicitCallsRunInTheirOrder) {
    const DeviceArray<int> values(Ints(size, 1));
    Chain chain;
    for (const int summand : {1, 2, 3, 4}) require_success(chain.add(values.data(), 2, summand));
    chain.instantiate();
    chain.launch(origin);
    chain.launch(origin);
    EXPECT_EQ(values.host(), Ints(size, 1));
    require_success(cudaStreamSynchronize(origin));
    int expected = 1;
    for (const int summand : {1, 2, 3, 4, 1, 2, 3, 4}) expected = expected * 2 + summand;
    EXPECT_EQ(values.host(), Ints(size, expected));
}

TEST_P(Graphs, NewArgumentsAreThoseOfLaterLaunches) {
    const DeviceArray<int> values(Ints(size, 1));
    Chain chain;
    require_success(chain.add(values.data(), 2, 0));
    require_success(chain.add(values.data(), 1, 1));
    chain.instantiate();
    chain.launch(origin);
    require_success(chain.set(chain.nodes[1], values.data(), 5, 0));
    chain.launch(origin);
    require_success(cudaStreamSynchronize(origin));
    EXPECT_EQ(values.host(), Ints(size, (1 * 2 + 1) * 2 * 5));
    chain.instantiate();  // of the graph, which kept the old ones
    chain.launch(origin);
    require_success(cudaStreamSynchronize(origin));
    EXPECT_EQ(values.host(), Ints(size, (1 * 2 + 1) * 2 * 5 * 2 + 1));
}

// The planted bug: what is set in the graph alone leaves the executable with stale arguments.
TEST_P(Graphs, ArgumentsSetInTheGraphAloneStayStale) {
    const DeviceArray<int> values(Ints(size, 1));
    Chain chain;
    require_success(chain.add(values.data(), 2, 0));
    chain.instantiate();
    require_success(chain.set_in_graph(0, values.data(), 7, 0));
    chain.launch(origin);
    require_success(cudaStreamSynchronize(origin));
    EXPECT_EQ(values.host(), Ints(size, 2));
    chain.instantiate();
    chain.launch(origin);
    require_success(cudaStreamSynchronize(origin));
    EXPECT_EQ(values.host(), Ints(size, 2 * 7));
}

TEST_P(Graphs, NodesOfAnotherGraphAreRefused) {
    const DeviceArray<int> values(Ints(size, 1));
    Chain chain, twin;
    for (Chain* each : {&chain, &twin}) {
        require_success(each->add(values.data(), 2, 0));
        each->instantiate();
    }
    EXPECT_EQ(chain.set(twin.nodes[0], values.data(), 3, 0), cudaErrorInvalidValue);
    require_success(chain.add(values.data(), 2, 0));  // too late for the executable
    EXPECT_EQ(chain.set(chain.nodes[1], values.data(), 3, 0), cudaErrorInvalidValue);
    std::swap(chain.nodes, twin.nodes);
    EXPECT_EQ(chain.add(values.data(), 2, 0), cudaErrorInvalidValue);  // after a node of the twin
    std::swap(chain.nodes, twin.nodes);
    chain.destroy_graph();
    EXPECT_EQ(chain.set(chain.nodes[0], values.data(), 3, 0), cudaErrorInvalidValue);
    cudaGetLastError();
    chain.launch(origin);
    require_success(cudaStreamSynchronize(origin));
    EXPECT_EQ(values.host(), Ints(size, 2));
}

TEST_P(Graphs, NodesAreCheckedLikeLaunches) {
    const DeviceArray<int> values(Ints(size, 1));
    Chain chain;
    int on_host = 0;
    EXPECT_THROW((void)chain.add(&on_host, 2, 0), emulator::Error);
    require_success(chain.add(values.data(), 2, 0));
    chain.instantiate();
    EXPECT_THROW((void)chain.set(chain.nodes[0], &on_host, 2, 0), emulator::Error);
    const auto unknown = [&](cudaKernelNodeParams launch) {
        launch.func = &on_host;
        return cudaGraphKernelNodeSetParams(chain.nodes[0], &launch);
    };
    EXPECT_EQ(with_multiply_add(values.data(), 2, 0, size, unknown), cudaErrorInvalidDeviceFunction);
    const auto too_many_threads = [&](cudaKernelNodeParams launch) {
        launch.blockDim = dim3(2048);
        return cudaGraphKernelNodeSetParams(chain.nodes[0], &launch);
    };
    EXPECT_EQ(with_multiply_add(values.data(), 2, 0, size, too_many_threads), cudaErrorInvalidConfiguration);
    cudaGetLastError();
}

TEST_P(Graphs, BufferOfANodeThatIsGoneIsNamed) {
    int* values = nullptr;
    require_success(cudaMalloc(&values, size * sizeof(int)));
    Chain chain;
    require_success(chain.add(values, 2, 0));
    chain.instantiate();
    require_success(cudaFree(values));
    chain.launch(origin);
    try {
        cudaStreamSynchronize(origin);
        ADD_FAILURE() << "nothing was thrown";
    } catch (const emulator::Error& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("argument 0 is a buffer that was freed"));
        EXPECT_THAT(error.what(), testing::HasSubstr("stream_kernels.cu"));
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Graphs, testing::Range(0u, 4u));

}  // namespace

// The kernels of a piece of work as one CUDA graph: they are recorded, and a graph of the same kernels in the same order is given their
// arguments. docs/adr/0016-graphs.md says why not by capturing the stream.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <span>
#include <vector>

#include "device/cuda.cuh"

namespace silosum::cuda {

/// Launches in their order, with copies of the arguments.
class KernelList {
public:
    [[nodiscard]] bool empty() const { return kernels_.empty(); }
    [[nodiscard]] std::size_t size() const { return kernels_.size(); }
    void clear();
    void add(const void* kernel, const Grid& grid, std::span<const Argument> arguments);

    [[nodiscard]] const Grid& grid(std::size_t i) const { return kernels_[i].grid; }
    /// Launch i as CUDA takes it. Refers to this list, until the next call or change.
    [[nodiscard]] cudaKernelNodeParams launch(std::size_t i);

    /// Whether both have the same kernels in the same order, of whatever grids and arguments.
    [[nodiscard]] bool has_kernels_of(const KernelList& other) const;
    /// Whether launch i, of the same kernel in both, is the same in all else.
    [[nodiscard]] bool is_same(std::size_t i, const KernelList& other) const;

private:
    struct Kernel {
        const void* address;
        Grid grid;
        std::size_t places, bytes;  // where its own begin
    };
    [[nodiscard]] std::span<const std::size_t> places_of(std::size_t i) const;
    [[nodiscard]] std::span<const std::byte> bytes_of(std::size_t i) const;

    std::vector<Kernel> kernels_;
    std::vector<std::size_t> places_;  // of arguments, in bytes_
    std::vector<std::byte> bytes_;
    std::vector<void*> arguments_;  // of the last launch asked for
};

/// A graph of CUDA that runs the kernels of a list one after the other.
class Graph {
public:
    explicit Graph(KernelList kernels);
    [[nodiscard]] const KernelList& kernels() const { return kernels_; }
    /// From now on with the grids and arguments of `kernels`, which has_kernels_of the graph's; gives back the old ones in exchange.
    /// Launches before keep theirs. Once this has thrown, the graph is of no use.
    void update(KernelList& kernels);
    void launch(cudaStream_t stream) const;

private:
    struct Destroy {
        void operator()(cudaGraph_t graph) const { (void)cudaGraphDestroy(graph); }
        void operator()(cudaGraphExec_t graph) const { (void)cudaGraphExecDestroy(graph); }
    };
    KernelList kernels_;
    std::unique_ptr<CUgraph_st, Destroy> graph_;  // lasts, as updates name its nodes
    std::vector<cudaGraphNode_t> nodes_;
    std::unique_ptr<CUgraphExec_st, Destroy> executable_;
};

/// What one stream records, and the graphs that it made of it.
class Graphs {
public:
    explicit Graphs(cudaStream_t stream) : stream_(stream) {}

    /// From now on kernels are recorded.
    void begin();
    /// Records, or gives the stream, a kernel.
    void add(const void* kernel, const Grid& grid, std::span<const Argument> arguments);
    /// Gives the stream what was recorded, one by one, and records no more.
    void give_up();
    /// The same where nothing may be thrown: what fails is thrown by the next call here.
    void give_up_in_silence() noexcept;
    /// Gives the stream what was recorded, as a graph, and records no more.
    void launch();
    /// Records no more; what was recorded is lost.
    void forget() noexcept;

private:
    void throw_failure();
    [[nodiscard]] Graph graph_of_recorded();

    /// The steps of a silo have a graph for each order of kernels that batches of different sizes lead to, one or two; the silos of a rank
    /// take turns on one stream. More are kept than that, not without end.
    static constexpr std::size_t most_graphs = 8;

    cudaStream_t stream_;
    bool is_recording_ = false;
    KernelList recorded_;
    KernelList direct_;  // of a kernel that is not recorded
    std::exception_ptr failure_;
    std::vector<Graph> graphs_;  // the last used at the end
};

}  // namespace silosum::cuda

#include "device/cuda_graph.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "base/error.hpp"

namespace silosum::cuda {

namespace {

bool is_same_shape(const dim3& a, const dim3& b) {
    return a.x == b.x && a.y == b.y && a.z == b.z;
}

void launch_now(const cudaKernelNodeParams& launch, cudaStream_t stream, Where where) {
    check(cudaLaunchKernel(launch.func, launch.gridDim, launch.blockDim, launch.kernelParams, launch.sharedMemBytes, stream), where);
}

}  // namespace

void launch_by_address(const void* kernel, const Grid& grid, std::span<const Argument> arguments, const CudaStream& stream) {
    stream.graphs().add(kernel, grid, arguments);
}

void KernelList::clear() {
    kernels_.clear();
    places_.clear();
    bytes_.clear();
}

void KernelList::add(const void* kernel, const Grid& grid, std::span<const Argument> arguments) {
    kernels_.push_back({kernel, grid, places_.size(), bytes_.size()});
    for (const Argument& argument : arguments) {
        assert(argument.alignment <= alignof(std::max_align_t));  // that of bytes_
        const std::size_t place = (bytes_.size() + argument.alignment - 1) / argument.alignment * argument.alignment;
        places_.push_back(place);
        bytes_.resize(place + argument.bytes);
        std::memcpy(bytes_.data() + place, argument.value, argument.bytes);
    }
}

std::span<const std::size_t> KernelList::places_of(std::size_t i) const {
    const std::size_t end = i + 1 < size() ? kernels_[i + 1].places : places_.size();
    return std::span(places_).subspan(kernels_[i].places, end - kernels_[i].places);
}

std::span<const std::byte> KernelList::bytes_of(std::size_t i) const {
    const std::size_t end = i + 1 < size() ? kernels_[i + 1].bytes : bytes_.size();
    return std::span(bytes_).subspan(kernels_[i].bytes, end - kernels_[i].bytes);
}

cudaKernelNodeParams KernelList::launch(std::size_t i) {
    arguments_.clear();
    for (const std::size_t place : places_of(i)) arguments_.push_back(bytes_.data() + place);
    const Kernel& kernel = kernels_[i];
    cudaKernelNodeParams launch{};
    launch.func = const_cast<void*>(kernel.address);  // as CUDA declares it
    launch.gridDim = kernel.grid.blocks;
    launch.blockDim = kernel.grid.threads;
    launch.sharedMemBytes = static_cast<unsigned>(kernel.grid.shared_bytes);
    launch.kernelParams = arguments_.data();
    return launch;
}

bool KernelList::has_kernels_of(const KernelList& other) const {
    return std::equal(kernels_.begin(), kernels_.end(), other.kernels_.begin(), other.kernels_.end(),
                      [](const Kernel& a, const Kernel& b) { return a.address == b.address; });
}

bool KernelList::is_same(std::size_t i, const KernelList& other) const {
    const Grid& a = grid(i);
    const Grid& b = other.grid(i);
    return is_same_shape(a.blocks, b.blocks) && is_same_shape(a.threads, b.threads) && a.shared_bytes == b.shared_bytes &&
           std::ranges::equal(bytes_of(i), other.bytes_of(i));
}

Graph::Graph(KernelList kernels) : kernels_(std::move(kernels)) {
    cudaGraph_t graph = nullptr;
    check(cudaGraphCreate(&graph, 0));
    graph_.reset(graph);
    for (std::size_t i = 0; i < kernels_.size(); ++i) {
        const cudaKernelNodeParams launch = kernels_.launch(i);
        cudaGraphNode_t node = nullptr;
        check(cudaGraphAddKernelNode(&node, graph, i == 0 ? nullptr : &nodes_.back(), i == 0 ? 0 : 1, &launch), kernels_.grid(i).where);
        nodes_.push_back(node);
    }
    cudaGraphExec_t executable = nullptr;
    check(cudaGraphInstantiate(&executable, graph, 0));
    executable_.reset(executable);
}

void Graph::update(KernelList& kernels) {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (kernels.is_same(i, kernels_)) continue;
        const cudaKernelNodeParams launch = kernels.launch(i);
        check(cudaGraphExecKernelNodeSetParams(executable_.get(), nodes_[i], &launch), kernels.grid(i).where);
    }
    std::swap(kernels_, kernels);
}

void Graph::launch(cudaStream_t stream) const {
    check(cudaGraphLaunch(executable_.get(), stream));
}

void Graphs::begin() {
    require<RuntimeError>(!is_recording_, "run_as_graph within run_as_graph: this is a fault of silosum, please report it");
    recorded_.clear();
    failure_ = nullptr;
    is_recording_ = true;
}

void Graphs::add(const void* kernel, const Grid& grid, std::span<const Argument> arguments) {
    if (is_recording_) return recorded_.add(kernel, grid, arguments);
    throw_failure();
    direct_.clear();
    direct_.add(kernel, grid, arguments);
    launch_now(direct_.launch(0), stream_, grid.where);
}

void Graphs::give_up() {
    throw_failure();
    if (!std::exchange(is_recording_, false)) return;
    for (std::size_t i = 0; i < recorded_.size(); ++i) launch_now(recorded_.launch(i), stream_, recorded_.grid(i).where);
}

void Graphs::give_up_in_silence() noexcept {
    try {
        give_up();
    } catch (...) {
        failure_ = std::current_exception();
    }
}

void Graphs::throw_failure() {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Graphs::forget() noexcept {
    is_recording_ = false;
    failure_ = nullptr;
}

Graph Graphs::graph_of_recorded() {
    const auto known = std::ranges::find_if(graphs_, [&](const Graph& graph) { return recorded_.has_kernels_of(graph.kernels()); });
    if (known == graphs_.end()) return Graph(recorded_);
    Graph graph = std::move(*known);  // taken out, as it is of no use should the update fail
    graphs_.erase(known);
    graph.update(recorded_);
    return graph;
}

void Graphs::launch() {
    throw_failure();
    if (!std::exchange(is_recording_, false) || recorded_.empty()) return;
    Graph graph = graph_of_recorded();
    graph.launch(stream_);
    graphs_.push_back(std::move(graph));
    if (graphs_.size() > most_graphs) graphs_.erase(graphs_.begin());
}

}  // namespace silosum::cuda

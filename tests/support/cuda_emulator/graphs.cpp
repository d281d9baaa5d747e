// Executable graphs are copies: what is done to the graph later does not reach them, and what is done to them does not reach launches
// before.
#include "graphs.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <set>
#include <utility>

#include "api.hpp"
#include "block.hpp"
#include "emulator.hpp"
#include "host_api.hpp"
#include "launch.hpp"
#include "streams.hpp"

struct CUgraph_st {
    std::vector<emulator::Node> nodes;
    std::size_t number;  // no other graph has it
    std::vector<std::unique_ptr<CUgraphNode_st>> handles{};
};
struct CUgraphNode_st {
    CUgraph_st* graph;
    std::size_t index;
};
struct CUgraphExec_st {
    std::vector<emulator::Node> nodes;
    std::size_t number;  // of the graph that it was made from
};

namespace emulator {
namespace {

struct {
    std::set<const CUgraphNode_st*> nodes;  // of graphs that are not destroyed
    std::size_t graphs = 0;                 // so far
    GraphCalls calls;
} known;

bool is_node(const CUgraphNode_st* node) {
    return known.nodes.contains(node);
}

// Any order in which each node comes after those it waits for; the recorded one without a seed.
std::vector<std::size_t> order_of(const std::vector<Node>& nodes) {
    std::vector<std::size_t> order;
    std::vector<bool> placed(nodes.size());
    while (order.size() < nodes.size()) {
        std::vector<std::size_t> able;
        for (std::size_t node = 0; node < nodes.size(); ++node) {
            const auto& after = nodes[node].after;
            if (!placed[node] && std::all_of(after.begin(), after.end(), [&](std::size_t before) { return placed[before]; }))
                able.push_back(node);
        }
        order.push_back(able[random_below(able.size())]);
        placed[order.back()] = true;
    }
    return order;
}

cudaError_t set_launch(Node& node, const cudaKernelNodeParams* call) {
    if (call == nullptr || call->extra != nullptr) return cudaErrorInvalidValue;
    Launch launch;
    if (const cudaError_t error = checked_launch(*call, launch); error != cudaSuccess) return error;
    node.run = work_of(std::move(launch));
    return cudaSuccess;
}

}  // namespace

cudaGraph_t new_graph(std::vector<Node> nodes) {
    return new CUgraph_st{std::move(nodes), ++known.graphs};
}

GraphCalls graph_calls() {
    return known.calls;
}

}  // namespace emulator

using namespace emulator;

cudaError_t cudaGraphCreate(cudaGraph_t* graph, unsigned flags) {
    return api_call([=] {
        if (flags != 0) return cudaErrorInvalidValue;
        *graph = new_graph({});
        return cudaSuccess;
    });
}

cudaError_t cudaGraphAddKernelNode(cudaGraphNode_t* node, cudaGraph_t graph, const cudaGraphNode_t* after, std::size_t after_count,
                                   const cudaKernelNodeParams* launch) {
    return api_call([=] {
        if (graph == nullptr) return cudaErrorInvalidValue;
        Node added;
        for (std::size_t i = 0; i < after_count; ++i) {
            if (!is_node(after[i]) || after[i]->graph != graph) return cudaErrorInvalidValue;
            added.after.push_back(after[i]->index);
        }
        if (const cudaError_t error = set_launch(added, launch); error != cudaSuccess) return error;
        graph->nodes.push_back(std::move(added));
        graph->handles.push_back(std::make_unique<CUgraphNode_st>(CUgraphNode_st{graph, graph->nodes.size() - 1}));
        *node = graph->handles.back().get();
        known.nodes.insert(*node);
        return cudaSuccess;
    });
}

cudaError_t cudaGraphKernelNodeSetParams(cudaGraphNode_t node, const cudaKernelNodeParams* launch) {
    return api_call([=] { return is_node(node) ? set_launch(node->graph->nodes[node->index], launch) : cudaErrorInvalidValue; });
}

cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t executable, cudaGraphNode_t node, const cudaKernelNodeParams* launch) {
    return api_call([=] {
        // A node that came to the graph after the executable was made of it is not in it.
        if (executable == nullptr || !is_node(node) || node->graph->number != executable->number ||
            node->index >= executable->nodes.size()) {
            return cudaErrorInvalidValue;
        }
        ++known.calls.updated;
        return set_launch(executable->nodes[node->index], launch);
    });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags) {
    return api_call([=] {
        if (graph == nullptr || flags != 0) return cudaErrorInvalidValue;
        *executable = new CUgraphExec_st{graph->nodes, graph->number};
        ++known.calls.instantiated;
        return cudaSuccess;
    });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    return api_call([=] {
        if (executable == nullptr) return cudaErrorInvalidValue;
        for (const std::size_t node : order_of(executable->nodes)) {
            if (const cudaError_t error = give(stream, executable->nodes[node].run); error != cudaSuccess) return error;
        }
        ++known.calls.launched;
        return cudaSuccess;
    });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    return api_release([=] {
        if (graph == nullptr) return cudaErrorInvalidValue;
        for (const auto& node : graph->handles) known.nodes.erase(node.get());
        delete graph;
        return cudaSuccess;
    });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    return api_release([=] {
        delete executable;
        return cudaSuccess;
    });
}

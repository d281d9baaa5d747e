// Graphs: work in any order that the nodes allow, launched as one.
#pragma once

#include <functional>
#include <vector>

#include "host_types.hpp"

namespace emulator {

struct Node {
    std::function<void()> run;
    std::vector<std::size_t> after;  // earlier nodes that must have run
};

/// Of nodes that nothing can name.
cudaGraph_t new_graph(std::vector<Node> nodes);

}  // namespace emulator

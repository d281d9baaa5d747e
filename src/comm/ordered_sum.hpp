// Sums of float vectors whose bits depend on the vectors and the number of ranks alone: element by element, rank 0 + rank 1 + ...,
// whatever the messages, the nodes and the length of chunks. Each rank adds up one slice, then all slices go everywhere.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/buffer.hpp"
#include "comm/nodes.hpp"
#include "comm/slice_pipeline.hpp"

namespace silosum {

class OrderedSum {
public:
    /// Collective. size: floats of every vector. step_bytes: as of the pipeline. The communicator must outlive it. Throws the same
    /// AgreedError on all ranks where a node has no room for shared memory.
    OrderedSum(const Communicator& communicator, const Nodes& nodes, std::size_t size, std::size_t step_bytes);

    /// Collective. values: of this rank -> the sum over all ranks. Returns the bytes that others have from this rank.
    std::size_t add_up(std::span<float> values);

private:
    const Communicator& communicator_;
    Nodes nodes_;
    Slices slices_;
    SlicePipeline<float> pipeline_;
    Buffer<float> sum_;  // shared by the ranks of a node; none where every rank is alone on its node
    std::vector<const float*> by_rank_;
};

}  // namespace silosum

// Stream capture: work given to a captured stream becomes nodes of a graph, which can be launched many times.
#pragma once

#include <functional>
#include <vector>

#include "graphs.hpp"
#include "host_types.hpp"
#include "streams.hpp"

namespace emulator {

struct Capture {
    CUstream_st* origin;
    cudaStreamCaptureMode mode;
    std::vector<Node> nodes{};
    std::vector<CUstream_st*> streams{};  // the origin and those that joined
    bool invalid = false;
};

cudaError_t add_node(CUstream_st& stream, std::function<void()> run);

/// The stream waits for an event, and one of them or both are captured.
cudaError_t join_capture(CUstream_st& stream, const CUevent_st& event);

/// For calls that are not allowed while anything is captured: cudaSuccess, or `error` and the captures are broken.
cudaError_t refuse_while_capturing(cudaError_t error);

}  // namespace emulator

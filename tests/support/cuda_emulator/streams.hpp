// Streams, which keep the work they are given and run it as late as the program lets them, and events.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "host_types.hpp"

namespace emulator {

struct Capture;

/// One record of an event. Those that wait for it keep it, whatever becomes of the event.
struct Record {
    CUstream_st* stream;
    bool has_run = false;
};

struct Work {
    std::function<void()> run;
    std::shared_ptr<const Record> awaited;  // not to be run before
    [[nodiscard]] bool can_run() const { return awaited == nullptr || awaited->has_run; }
};

/// Gives work to a stream; to the graph, if the stream is captured. The null stream first runs what the blocking streams have, then this.
cudaError_t give(CUstream_st* stream, std::function<void()> run);

/// Runs all that the stream has, and what that waits for.
void drain(CUstream_st& stream);
void drain_all();
/// All but the streams that do not wait for the null stream.
void drain_blocking();
/// Runs until the record has run.
void drain_until(const Record& record);
/// Runs one piece of work that the stream needs, if it has any.
void advance(CUstream_st& stream);

/// False for a handle that was destroyed, or never was one. The null stream is open.
bool is_open(const CUstream_st* stream);
int device_of(const CUstream_st* stream);

}  // namespace emulator

struct CUstream_st {
    int device;
    bool waits_for_null;
    std::deque<emulator::Work> work{};
    std::shared_ptr<emulator::Capture> capture{};
    std::vector<std::size_t> last_nodes{};  // of the captured graph: what the stream's next work waits for
};

struct CUevent_st {
    int device;
    unsigned flags;
    std::shared_ptr<emulator::Record> record{};    // the last one; null before any
    std::shared_ptr<emulator::Capture> capture{};  // the last record was captured: `nodes` stand before it
    std::vector<std::size_t> nodes{};
};

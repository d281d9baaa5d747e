#include "comm/ordered_sum.hpp"

#include <algorithm>
#include <cassert>

#include "comm/add_parts.hpp"
#include "comm/collectives.hpp"

namespace silosum {

OrderedSum::OrderedSum(const Communicator& communicator, const Nodes& nodes, std::size_t size, std::size_t step_bytes)
    : communicator_(communicator),
      nodes_(nodes),
      slices_(size, communicator.size()),
      pipeline_(communicator, nodes, slices_, step_bytes),
      by_rank_(static_cast<std::size_t>(communicator.size())) {
    if (nodes.count() < by_rank_.size()) sum_ = shared_buffer<float>(communicator, nodes, size);
}

std::size_t OrderedSum::add_up(std::span<float> values) {
    assert(values.size() == slices_.coordinates());
    const auto ranks = by_rank_.size();
    if (ranks == 1) return 0;
    const auto me = static_cast<std::size_t>(communicator_.rank());
    // Without shared memory the sum replaces this rank's own part, which nobody reads any more.
    float* const sum = sum_.empty() ? values.data() : sum_.data();
    const auto source = [&](std::size_t begin, std::size_t, float*) -> const float* { return values.data() + begin; };
    const auto sink = [&](std::size_t begin, std::size_t n, std::span<const float* const> parts) {
        // The pipeline gives this rank's part, then that of the rank before, and so on round.
        for (std::size_t back = 0; back < ranks; ++back) by_rank_[(me + ranks - back) % ranks] = parts[back];
        add_parts(n, std::span<const float* const>(by_rank_), sum + begin);
    };
    std::size_t bytes = pipeline_.run(std::vector<bool>(ranks, true), source, sink);
    if (sum_.empty()) return bytes + all_gather(communicator_, slices_, values);
    // Nobody writes the next sum before all have copied this one: that begins with words from everybody.
    bytes += all_gather_shared(communicator_, nodes_, slices_, sizeof(float), std::as_writable_bytes(sum_.span()).data());
    std::copy(sum_.begin(), sum_.end(), values.begin());
    return bytes;
}

}  // namespace silosum

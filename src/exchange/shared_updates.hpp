// Updates that all ranks of a machine can read: there each rank adds up its slice straight from the silos' models, and no words are stored
// or told. For sums that hide nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/buffer.hpp"
#include "base/phase_clock.hpp"
#include "comm/mpi.hpp"
#include "comm/nodes.hpp"
#include "exchange/ring_sum.hpp"

namespace silosum {

class SharedUpdates {
public:
    /// Collective. Room for one vector of each rank; the ranks must be one node. Throws the same AgreedError on all ranks where the machine
    /// has no room.
    SharedUpdates(const Communicator& communicator, const Nodes& nodes, std::size_t parameters);

    /// This rank's; whoever has it keeps the memory.
    [[nodiscard]] Buffer<float> own() const;
    [[nodiscard]] bool is_own(std::span<const float> local) const { return !local.empty() && local.data() == of(rank_); }
    [[nodiscard]] std::span<const float> of_rank(int rank) const { return {of(rank), parameters_}; }

private:
    [[nodiscard]] float* of(int rank) const;

    int rank_;
    std::size_t parameters_;
    std::shared_ptr<std::byte> memory_;
};

/// mean = the sum of the updates' words * unit / weight_sum for the coordinates from `first` on, the bits of RingSum::reduce(). bits: of a
/// word. counts: by update. Adds the phases encode and decode. Returns the largest magnitude of the mean. Local.
double mean_of_updates(std::uint64_t bits, std::span<const EncodedUpdate> updates, std::size_t first, double unit, double weight_sum,
                       std::span<double> mean, std::span<kernels::EncodeCount> counts, PhaseClock& clock);

}  // namespace silosum

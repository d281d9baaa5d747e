// Updates that all ranks of a machine can read: there they add up slices straight from the silos' models, and no words are stored or told.
// For sums that hide nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/buffer.hpp"
#include "base/phase_clock.hpp"
#include "comm/mpi.hpp"
#include "comm/nodes.hpp"
#include "comm/slices.hpp"
#include "kernels/fixed_point.hpp"

namespace silosum {

class SharedUpdates {
public:
    /// Collective. Room for one vector of each rank and for the mean; the ranks must be one node. Throws the same AgreedError on all ranks
    /// where the machine has no room.
    SharedUpdates(const Communicator& communicator, const Nodes& nodes, const Slices& slices);

    /// This rank's; whoever has it keeps the memory.
    [[nodiscard]] Buffer<float> own() const;
    [[nodiscard]] bool is_own(std::span<const float> local) const { return !local.empty() && local.data() == of(rank_); }
    [[nodiscard]] const float* of_rank(int rank) const { return of(rank); }
    /// This rank's slice of the mean.
    [[nodiscard]] Buffer<double> own_mean() const;

    /// Local; all ranks must have called it, and met, before one of them goes on to add up.
    void begin();
    /// Slices of the mean = the sum of the updates' words * unit / weight_sum, the bits of RingSum::reduce(). bits: of a word. Ranks that
    /// are done with their slice help others with theirs: all ranks must call it, with the same arguments, and have met again, with a fence
    /// before and after, before they read the mean. Counts are those of the coordinates that this rank read, and so is the largest
    /// magnitude of the mean, which it returns. Adds the phases encode and decode. Local.
    [[nodiscard]] double add_up(std::uint64_t bits, std::span<kernels::SummedUpdate> updates, const float* global, double range,
                                double unit, double weight_sum, PhaseClock& clock);

private:
    template <class Word>
    double add_up_words(std::span<kernels::SummedUpdate> updates, const float* global, double range, double unit, double weight_sum,
                        PhaseClock& clock);
    [[nodiscard]] std::uint64_t& taken_of(int rank) const;  // coordinates of its slice that somebody has taken on
    [[nodiscard]] double* mean_of(int rank) const;          // its slice
    [[nodiscard]] float* of(int rank) const;

    int rank_;
    Slices slices_;
    std::size_t each_ = 0;               // bytes of a rank, which it takes near its core
    std::shared_ptr<std::byte> memory_;  // of all ranks: these three
};

}  // namespace silosum

// What a silo gives to a round, and what the round makes of all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace silosum {

/// One silo's result of a round: u = local - global, both in the memory where the exchange works. Refers to the trainer's buffers; see
/// Exchange::add for how long they are needed.
struct Update {
    std::uint32_t silo = 0;
    std::uint64_t weight = 0;       // its training samples; 0: nothing was trained, counts as present only
    std::span<const float> local;   // the silo's model y after training
    std::span<const float> global;  // the model x that training began from
    std::uint64_t steps = 0;        // optimiser steps done
    std::vector<double> numbers;    // summed exactly over the participants; the last is their weight
    std::span<const float> copy{};  // of local in the memory of the host, where it is in a GPU's and somebody asked for one

    /// y in the memory of the host.
    [[nodiscard]] std::span<const float> on_host() const { return copy.empty() ? local : copy; }
};

/// The weighted mean of the updates over the silos of a round: this rank's slice of it, and totals that are equal on all ranks.
struct Aggregate {
    std::size_t begin = 0;  // the slice: coordinates [begin, end)
    std::size_t end = 0;
    std::span<double> mean;  // of the slice; belongs to the exchange, lies where it works and lasts until its next round
    std::uint64_t weight_sum = 0;
    std::uint64_t present = 0;    // updates that were added
    std::uint64_t trained = 0;    // those of weight > 0
    std::uint64_t steps = 0;      // optimiser steps of all participants
    std::uint64_t clipped = 0;    // coordinates beyond the range, over all updates
    double range = 0;             // C: coordinates of updates were limited to [-C, C]
    double error_bound = 0;       // largest error of a coordinate of the mean that is due to the encoding
    std::vector<double> numbers;  // sums of Update::numbers
    /// No participant had any weight: there is no mean (it is all zeros) and the model must stay as it is, bit for bit.
    [[nodiscard]] bool is_refused() const { return weight_sum == 0; }
};

}  // namespace silosum

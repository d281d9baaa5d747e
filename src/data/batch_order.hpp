// The batches that a silo trains on in a round: a function of seed, silo and round, with no state from one round to the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace silosum {

/// How a split's rows are cut into batches.
struct BatchPlan {
    std::size_t rows = 0;
    std::size_t batch_size = 0;  // 0: all rows in one batch
    bool drop_last = false;      // leave out a short last batch, unless it is the only one

    [[nodiscard]] std::size_t batches_per_epoch() const;
};

class BatchOrder {
public:
    /// `epochs` passes over the rows, each in a fresh random order.
    [[nodiscard]] static BatchOrder of_epochs(const BatchPlan& plan, std::uint64_t seed, std::uint32_t silo, std::uint32_t round,
                                              std::size_t epochs);
    /// `steps` batches of an endless walk over epochs, going on where the round before ended, as if the silo took part in every round
    /// (rounds count from 1).
    [[nodiscard]] static BatchOrder of_steps(const BatchPlan& plan, std::uint64_t seed, std::uint32_t silo, std::uint32_t round,
                                             std::size_t steps);

    /// Batches that are left.
    [[nodiscard]] std::size_t left() const { return left_; }
    /// Row numbers of the next batch, valid until the next call; empty when none is left.
    [[nodiscard]] std::span<const std::uint32_t> next();

private:
    BatchOrder(const BatchPlan& plan, std::uint64_t seed, std::uint32_t silo) : plan_(plan), seed_(seed), silo_(silo) {}
    void shuffle();

    BatchPlan plan_;
    std::uint64_t seed_;
    std::uint32_t silo_;
    bool continues_ = false;  // of_steps: an epoch's order depends on the epoch, not on the round
    std::uint32_t round_ = 0;
    std::uint64_t epoch_ = 0;
    std::size_t batch_ = 0;  // in the epoch
    std::size_t left_ = 0;
    std::vector<std::uint32_t> order_;
};

}  // namespace silosum

// Which silos take part in a round: the same draw on every rank, without a message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/options.hpp"

namespace silosum {

struct SelectionConfig {
    std::uint64_t silos_per_round = 0;

    void add_to(Options& options);
};

class Selection {
public:
    /// silos_per_round 0 means all; more than there are silos is a UsageError.
    Selection(const SelectionConfig& config, std::size_t silos, std::uint64_t seed);

    /// Ids of the participants of a round (1-based), ascending: all silos, or a uniform draw without replacement.
    [[nodiscard]] std::vector<std::uint32_t> choose(std::uint64_t round) const;
    [[nodiscard]] std::size_t silos_per_round() const { return count_; }

private:
    std::size_t silos_;
    std::size_t count_;
    std::uint64_t seed_;
};

}  // namespace silosum

// One round of training: its number and who takes part. Equal on all ranks.
#pragma once

#include <cstdint>
#include <vector>

namespace silosum {

struct Round {
    std::uint64_t number = 1;  // from 1
    std::uint64_t total = 1;
    std::vector<std::uint32_t> participants;  // ids of silos, ascending

    [[nodiscard]] bool includes(std::uint32_t silo) const;
    [[nodiscard]] bool is_last() const { return number >= total; }
    [[nodiscard]] bool is_past_last() const { return number > total; }
    /// The round after this one; its participants are still to be chosen.
    [[nodiscard]] Round next() const { return {.number = number + 1, .total = total, .participants = {}}; }
};

}  // namespace silosum

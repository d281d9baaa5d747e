// Silos that leave rounds as told beforehand: what a federation does then can be tried before it happens, and compared with a plain run.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace silosum {

/// When a silo leaves a round. Later steps exist in secure sums only.
enum class LeaveStep {
    train,      // it has nothing to give, but takes part in every step: masks over zeros
    keys,       // gone before it sends keys
    shares,     // gone before it sends shares: the attempt is given up and begun anew without it
    entry,      // gone before it enters: its masks are taken off with shares of its key
    signature,  // gone after its last word: it is in the sum, but does not sign who is
    release     // gone before it releases shares
};

class Rehearsal {
public:
    /// leaving: texts "ROUND:SILO:STEP". UsageError for one that is none, or names no silo of `names`; without names any will do.
    Rehearsal(const std::vector<std::string>& leaving, const std::vector<std::string>& names);

    [[nodiscard]] std::optional<LeaveStep> leaves(std::uint64_t round, std::uint32_t silo) const;
    /// Whether the silo's update is missing in the round's sum.
    [[nodiscard]] bool gives_nothing(std::uint64_t round, std::uint32_t silo) const;

private:
    std::map<std::pair<std::uint64_t, std::uint32_t>, LeaveStep> steps_;
};

/// "" or what is wrong with the texts, as far as it can be said without the silos.
[[nodiscard]] std::string problem_of_rehearsal(const std::vector<std::string>& leaving);

}  // namespace silosum

// The learning rate of each round.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace silosum {

struct Schedule {
    enum class Kind { constant, exponential, step, cosine };
    Kind kind = Kind::constant;
    double lr = 0.01;
    double gamma = 1;                 // exponential: factor a round; step: factor every step_rounds
    std::uint64_t step_rounds = 1;    // step
    double lr_min = 0;                // cosine: where it ends
    std::uint64_t rounds = 1;         // cosine: over how many rounds
    std::uint64_t warmup_rounds = 0;  // first rounds in which the rate rises linearly to its schedule

    /// Rate of a round, counted from 0:
    ///   constant     lr
    ///   exponential  lr gamma^round
    ///   step         lr gamma^floor(round / step_rounds)
    ///   cosine       lr_min + (lr - lr_min) (1 + cos(pi round / rounds)) / 2; lr_min from `rounds` on
    /// times (round + 1) / warmup_rounds in the first warmup_rounds rounds.
    [[nodiscard]] double rate(std::uint64_t round) const;
};

[[nodiscard]] const std::vector<std::string>& schedule_names();
/// Throws UsageError for an unknown name.
[[nodiscard]] Schedule::Kind schedule_from_name(const std::string& name);

}  // namespace silosum

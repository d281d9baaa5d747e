// A machine whose rates are known: rounds on it take what the formula says.
#pragma once

#include <string>
#include <vector>

#include <fmt/format.h>

#include "benchmark/scale_model.hpp"

namespace silosum {

inline double planted_seconds(Kind kind) {
    switch (kind) {
        case Kind::message:
            return 2e-6;
        case Kind::meeting:
            return 5e-6;
        case Kind::pause:
            return 3e-6;
        case Kind::agreement:
            return 8e-5;
        case Kind::signature:
            return 6e-5;
        case Kind::product:
            return 3e-9;
        case Kind::stream:
            return 5e-11;
        default:
            return 1e-10 * (2 + static_cast<double>(kind));
    }
}

/// On one machine of two cores, whose caches hold the small vectors and not the large ones.
inline RoundShape planted_shape(int ranks, std::uint32_t silos, std::size_t parameters, bool is_secure, double dropouts = 0,
                                const char* transport = "auto") {
    const BenchmarkSetting setting{.parameters = parameters, .silos = silos, .graph = "auto", .dropouts = dropouts, .transport = transport};
    return shape_of(setting, 32, is_secure, ranks, {.machines = 1, .cores = 2, .cached_bytes = 4e6});
}

inline std::vector<MeasuredRound> rounds_on(const std::vector<int>& rank_counts) {
    std::vector<MeasuredRound> rounds;
    for (const int ranks : rank_counts) {
        const auto add = [&](const RoundShape& shape) {
            MeasuredRound round{fmt::format("{} silos on {} ranks", shape.silos, ranks), shape, 0, {}};
            for (const auto& [phase, work] : work_of(shape)) {
                double seconds = 0;
                for (const auto& row : kind_list()) {
                    const double amount = work[static_cast<std::size_t>(row.kind)];
                    seconds += amount * planted_seconds(row.kind) / (row.is_shared ? shape.cores_in_use() : 1);
                }
                if (phase != "idle") round.phases[phase] = seconds;
                round.seconds += seconds;
            }
            rounds.push_back(round);
        };
        const auto each = static_cast<std::uint32_t>(ranks);
        for (const std::size_t parameters : {10000, 1000000}) {
            for (const char* const transport : {"auto", "messages"}) {
                add(planted_shape(ranks, each, parameters, false, 0, transport));
                add(planted_shape(ranks, 4 * each, parameters, false, 0, transport));
            }
            for (const std::uint32_t silos : {8U, 32U, 64U}) add(planted_shape(ranks, silos, parameters, true));
            add(planted_shape(ranks, 64, parameters, true, 0.25));
            if (ranks > 2) add(planted_shape(ranks, each, parameters, true));
        }
    }
    return rounds;
}

}  // namespace silosum

#include "benchmark/phase_limits.hpp"

#include <algorithm>

namespace silosum {

namespace {

double amount(const Work& work, Kind kind) {
    return work[static_cast<std::size_t>(kind)];
}

// Of updates and models, which are floats, and of the words that several silos of a rank are added up in.
PhaseNeeds needs_of_encoding(const RoundShape& shape) {
    const double vector = 4 * static_cast<double>(shape.parameters);
    const double words = static_cast<double>(shape.parameters * shape.word());
    const double ranks = shape.ranks_a_machine();
    const double members = static_cast<double>(shape.members()) / shape.machines;
    const double looks = shape.reads_updates() ? 1 : shape.silos_of_busiest();  // of a rank at the global model
    PhaseNeeds needs{.read = members * vector + looks * (shape.shares_memory ? 1 : ranks) * vector};
    if (shape.silos_of_busiest() == 1) return needs;
    needs.written += members * words;
    needs.read += std::max(0.0, members - ranks) * words;
    return needs;
}

}  // namespace

std::map<std::string, PhaseNeeds> phase_needs_of(const RoundShape& shape) {
    const double several = shape.silos_of_busiest() > 1 ? 1 : 0;
    std::map<std::string, PhaseNeeds> all;
    for (const auto& [phase, work] : work_of(shape)) {
        PhaseNeeds needs;
        if (phase == "encode") {
            needs = needs_of_encoding(shape);
            needs.read += several * amount(work, Kind::move);
        }
        needs.streamed = amount(work, Kind::stream);
        needs.hashed = amount(work, Kind::hash);
        needs.tagged = amount(work, Kind::tag);
        needs.read += amount(work, Kind::look) + amount(work, Kind::hash);
        if (phase == "unmask") needs.read += amount(work, Kind::move);
        needs.written += 8 * amount(work, Kind::decode);  // a mean in double
        const bool has_any = needs.read + needs.written + needs.streamed + needs.tagged > 0;
        if (has_any) all[phase] = needs;
    }
    return all;
}

std::map<std::string, double> least_seconds(const RoundShape& shape, const MachineLimits& limits) {
    std::map<std::string, double> seconds;
    const double copies = std::max({limits.memory_reads, limits.memory_writes, limits.memory_copies});
    const bool passes_memory = limits.passes_memory(4 * static_cast<double>(shape.parameters));
    for (const auto& [phase, needs] : phase_needs_of(shape)) {
        const double memory =
            std::max({needs.read / limits.memory_reads, needs.written / limits.memory_writes, (needs.read + needs.written) / copies});
        const double computing = needs.streamed / limits.stream + needs.hashed / limits.hash + needs.tagged / limits.tag;
        const double by_cores = computing * limits.machines / limits.cores;
        const double least = std::max(by_cores, passes_memory ? memory : 0) * shape.machines / limits.machines;
        if (least > 0) seconds[phase] = least;
    }
    return seconds;
}

std::map<std::string, double> shares_of_limits(const std::map<std::string, double>& measured, const RoundShape& shape,
                                               const MachineLimits& limits, double parts) {
    std::map<std::string, double> shares;
    for (const auto& [phase, least] : least_seconds(shape, limits)) {
        const auto found = measured.find(phase);
        if (found != measured.end() && found->second > 0) shares[phase] = parts * least / found->second;
    }
    return shares;
}

}  // namespace silosum

#include "observe/compare_local.hpp"

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/process.hpp"
#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "data/standardise.hpp"

namespace silosum {

namespace {

/// Collective. The hosts of the silos [begin, end), one on each rank or group of ranks, train them alone at the same time, round after
/// round; model is this rank's. False when a signal asked some rank to stop.
bool train_alone(Federation& federation, std::size_t begin, std::size_t end, std::uint64_t rounds, std::span<float> model) {
    for (Round round{.number = 1, .total = rounds, .participants = {}}; !round.is_past_last(); ++round.number) {
        succeed_on_all(federation.world, [&] {
            for (Silo& silo : federation.silos) {
                if (silo.id() < begin || silo.id() >= end) continue;
                const Update update = silo.train(model, federation.trainer, round);
                std::copy(update.local.begin(), update.local.end(), model.begin());
            }
        });
        std::array<std::uint64_t, 1> signal{static_cast<std::uint64_t>(stop_signal())};
        all_reduce_max(federation.world, signal);
        if (signal[0] != 0) return false;
    }
    return true;
}

/// Collective. The silo's own moments, which its host has, in the form of federated ones.
Standardisation own_standardisation(const Communicator& world, const Silo* silo, std::size_t features, int host) {
    std::vector<double> both(2 * features);
    if (silo != nullptr) {
        const Standardisation own = standardisation_of(moments_of(silo->shard(), silo->shard().train));
        std::copy(own.mean.begin(), own.mean.end(), both.begin());
        std::copy(own.deviation.begin(), own.deviation.end(), both.begin() + static_cast<std::ptrdiff_t>(features));
    }
    broadcast(world, std::span<double>(both), host);
    const auto middle = both.begin() + static_cast<std::ptrdiff_t>(features);
    return {.kind = "federated", .mean = {both.begin(), middle}, .deviation = {middle, both.end()}};
}

}  // namespace

std::optional<MetricsBySilo> compare_local(Federation& federation, const Parameters& initial, std::uint64_t rounds,
                                           const std::optional<CommonTest>& common_test, const std::string& standardise) {
    const auto& world = federation.world;
    federation.trainer.use_models_of_host();
    auto& network = federation.trainer.network();
    MetricsBySilo rows;
    const RankGroups& ranks = *federation.ranks;
    const auto groups = static_cast<std::size_t>(ranks.count());
    for (std::size_t id = 0; id < federation.census.silos.size(); id += groups) {
        // The hosts of the next silos train at the same time, then everybody measures one model after the other.
        const std::size_t end = std::min(federation.census.silos.size(), id + groups);
        succeed_on_all(world, [&] {
            for (Silo& silo : federation.silos) {
                if (silo.id() < id || silo.id() >= end) continue;
                silo.forget_optimizer();
                if (standardise == "federated")
                    silo.set_features(standardising_affine(moments_of(silo.shard(), silo.shard().train), silo.shard()));
            }
        });
        Buffer<float> mine(initial.values.size());
        std::copy(initial.values.begin(), initial.values.end(), mine.begin());
        if (!train_alone(federation, id, end, rounds, mine.span())) return std::nullopt;
        for (std::size_t of = id; of < end; ++of) {
            const int host = ranks.rank_of(host_of(of, ranks.count()));
            Buffer<float> model(initial.values.size());
            if (world.rank() == host) std::copy(mine.begin(), mine.end(), model.begin());
            broadcast(world, model.span(), host);
            network.load(model.span());
            Affine common_features = common_test ? common_test->features : Affine{};
            if (standardise == "federated") {
                const auto hosted =
                    std::find_if(federation.silos.begin(), federation.silos.end(), [&](const Silo& silo) { return silo.id() == of; });
                const Silo* alone = hosted == federation.silos.end() ? nullptr : &*hosted;
                const auto own = own_standardisation(world, alone, federation.census.problem.features(), host);
                for (Silo& silo : federation.silos) silo.set_features(affine_for(own, silo.shard()));
                if (common_test) common_features = affine_for(own, common_test->shard);
            }
            if (common_test) {
                rows.emplace_back(federation.census.silos[of].name,
                                  measure_common(world, network, common_test->shard.test, common_features));
            } else if (const auto measured =
                           measure_silos(ranks, *federation.sums, "comparison", network, federation.silos, &Shard::test)) {
                rows.emplace_back(federation.census.silos[of].name, measured->overall);
            }
        }
    }
    return rows;
}

}  // namespace silosum

#include "observe/compare_local.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "comm/agreement.hpp"
#include "comm/collectives.hpp"

namespace silosum {

namespace {

Buffer<float> train_alone(Silo& silo, Trainer& trainer, const Parameters& initial, std::uint64_t rounds) {
    Buffer<float> model(initial.values.size());
    std::copy(initial.values.begin(), initial.values.end(), model.begin());
    for (Round round{.number = 1, .total = rounds, .participants = {silo.id()}}; !round.is_past_last(); ++round.number) {
        const Update update = silo.train(model.span(), trainer, round);
        std::copy(update.local.begin(), update.local.end(), model.begin());
    }
    return model;
}

}  // namespace

std::vector<std::pair<std::string, Metrics>> compare_local(Federation& federation, const Parameters& initial, std::uint64_t rounds,
                                                           const std::optional<CommonTest>& common_test) {
    const auto& world = federation.world;
    auto& network = federation.trainer.network();
    std::vector<std::pair<std::string, Metrics>> rows;
    for (std::size_t id = 0; id < federation.census.silos.size(); id += static_cast<std::size_t>(world.size())) {
        // The hosts of the next silos train at the same time, then everybody measures one model after the other.
        const std::size_t end = std::min(federation.census.silos.size(), id + static_cast<std::size_t>(world.size()));
        Buffer<float> mine;
        succeed_on_all(world, [&] {
            for (Silo& silo : federation.silos) {
                if (silo.id() >= id && silo.id() < end) mine = train_alone(silo, federation.trainer, initial, rounds);
            }
        });
        for (std::size_t of = id; of < end; ++of) {
            const int host = host_of(of, world.size());
            Buffer<float> model(initial.values.size());
            if (world.rank() == host) std::copy(mine.begin(), mine.end(), model.begin());
            broadcast(world, model.span(), host);
            network.load(model.span());
            if (common_test) {
                rows.emplace_back(federation.census.silos[of].name,
                                  measure_common(world, network, common_test->shard.test, common_test->features));
            } else if (const auto measured = measure_silos(world, network, federation.silos, &Shard::test)) {
                rows.emplace_back(federation.census.silos[of].name, measured->overall);
            }
        }
    }
    return rows;
}

}  // namespace silosum

#include "config/needs.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "comm/slices.hpp"
#include "model/sequential.hpp"

namespace silosum {

namespace {

constexpr std::size_t mib = std::size_t{1} << 20;
// What a rank has touched of the program, HDF5 and MPI once it has trained, beyond what it has when it starts; measured.
constexpr std::size_t later_bytes = 9 * mib;
// Buffers of MPI and of files that grow with the messages up to this; measured.
constexpr std::size_t transport_bytes = 6 * mib;

// What the exchange holds on one rank: see exact_sum.cpp and slice_pipeline.hpp.
std::size_t exchange_bytes(const RunConfig& config, std::size_t parameters, std::size_t hosted, int ranks) {
    const Slices slices(parameters, ranks);
    const std::size_t word = config.exchange.ring_bits / 8;
    const std::size_t part = parameters / config.local.ranks_per_silo;  // of the words of a silo, on one rank
    const std::size_t all_words = static_cast<std::size_t>(config.local.groups_of(ranks)) * slices.largest() * word;
    std::size_t bytes = slices.largest() * sizeof(double) + std::min<std::size_t>(config.exchange.chunk_kib * 1024, all_words) * 4;
    if (hosted > 1) bytes += part * word;
    if (config.exchange.integrity == "tags") bytes += part * word;  // what was sent, until it is tagged
    if (hosted > 1 && config.exchange.range == "agreed") bytes += hosted * parameters * sizeof(float);
    return bytes;
}

}  // namespace

std::size_t Needs::total() const {
    std::size_t sum = 0;
    for (const auto& [what, bytes] : memory) sum += bytes;
    return sum;
}

std::string ranks_text(std::size_t ranks, std::uint64_t ranks_per_silo) {
    return counted(ranks, "rank") + (ranks_per_silo == 1 ? "" : fmt::format(", {} ranks each", ranks_per_silo));
}

std::size_t bytes_of(const Shard& shard) {
    std::size_t bytes = 0;
    for (const Split* split : {&shard.train, &shard.validation, &shard.test}) {
        bytes += split->bytes.size() + (split->floats.size() + split->labels.size() + split->targets.size()) * sizeof(float);
    }
    return bytes;
}

Needs needs_of(const RunConfig& config, const Census& census, const std::vector<std::size_t>& shard_bytes, std::size_t common_test_bytes,
               int ranks, std::size_t program_bytes) {
    const auto layers = layers_for(config.model, census.problem);
    const Threads threads(config.run.threads);
    const auto batch = static_cast<std::size_t>(config.local.part_size_for(std::max<std::uint64_t>(1, census.largest_train())));
    const auto each = config.local.ranks_per_silo;
    const int groups = config.local.groups_of(ranks);
    const std::size_t parameters = [&] {
        const Sequential network(layers, census.problem, config.model.loss, threads, 1);
        return network.layout().size();
    }();

    std::vector<std::size_t> rank_bytes(static_cast<std::size_t>(groups), 0);
    for (std::size_t silo = 0; silo < shard_bytes.size(); ++silo)
        rank_bytes[static_cast<std::size_t>(host_of(silo, groups))] += shard_bytes[silo];
    const std::size_t hosted = (shard_bytes.size() + static_cast<std::size_t>(groups) - 1) / static_cast<std::size_t>(groups);
    const auto settings = config.local.optimizer_settings();
    const std::size_t model_bytes = parameters * sizeof(float);

    Needs needs;
    needs.memory.emplace_back("program and MPI", program_bytes + later_bytes + std::min(model_bytes, transport_bytes));
    needs.memory.emplace_back("shards", *std::max_element(rank_bytes.begin(), rank_bytes.end()));
    if (common_test_bytes > 0) needs.memory.emplace_back("common test", common_test_bytes);
    needs.memory.emplace_back("global model", model_bytes);
    const std::size_t batch_bytes = batch * census.problem.features() * sizeof(float);
    needs.memory.emplace_back(
        "local model and network",
        model_bytes + batch_bytes + Sequential::estimate_memory_bytes(layers, census.problem, threads, batch, settings, each > 1));
    if (each > 1) {
        // The sum, and chunks on their way: see ordered_sum.hpp and slice_pipeline.hpp.
        needs.memory.emplace_back("sum of gradients",
                                  model_bytes + std::min<std::size_t>(config.exchange.chunk_kib * 1024, model_bytes) * 4);
        needs.bytes_sent_per_step = 2 * model_bytes * (each - 1) / each;
    }
    if (config.local.keeps_state()) {
        // One silo's state more while a checkpoint writes it in the order of the layout.
        needs.memory.emplace_back("kept optimiser state", hosted * settings.state_vectors() * model_bytes);
    }
    if (config.evaluation.compare_local) needs.memory.emplace_back("comparison with silos alone", 3 * model_bytes);
    needs.memory.emplace_back("exchange", exchange_bytes(config, parameters, std::min(hosted, shard_bytes.size()), ranks));

    const Slices slices(parameters, ranks, static_cast<int>(each));
    const Slices part = slices.of_position(0);
    const std::uint64_t others = part.last() - part.first() - part.size(groups - 1);
    needs.bytes_sent_per_round =
        others * (config.exchange.ring_bits / 8) + slices.largest() * sizeof(float) * static_cast<std::uint64_t>(ranks - 1);
    return needs;
}

}  // namespace silosum

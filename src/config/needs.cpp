#include "config/needs.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "comm/slices.hpp"
#include "exchange/ring_sum.hpp"
#include "model/sequential.hpp"

namespace silosum {

namespace {

constexpr std::size_t mib = std::size_t{1} << 20;
// What a rank has touched of the program, HDF5 and MPI once it has trained, beyond what it has when it starts; measured.
constexpr std::size_t later_bytes = 9 * mib;
// Buffers of MPI and of files that grow with the messages up to this; measured.
constexpr std::size_t transport_bytes = 6 * mib;

// What the exchange holds on one rank of the host's memory: see exact_sum.cpp and slice_pipeline.hpp.
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

// The same of the GPU's: see device_ring_sum.cpp.
std::size_t gpu_exchange_bytes(const RunConfig& config, std::size_t parameters, std::size_t hosted, int ranks) {
    const Slices slices(parameters, ranks, static_cast<int>(config.local.ranks_per_silo));
    const Slices part = slices.of_position(0);
    const std::size_t word = config.exchange.ring_bits / 8;
    const std::size_t checks = config.exchange.secure ? check_words : 0;
    const Chunks chunks(part, config.exchange.chunk_kib * 1024, word);
    std::size_t bytes = part.largest() * (sizeof(double) + word) + chunks.steps() * checks * word;
    bytes += 2 * (static_cast<std::size_t>(part.ranks()) + 1) * (chunks.size() + checks) * word;  // on their way
    if (hosted > 1) bytes += (part.last() - part.first()) * word;
    if (hosted > 1 && config.exchange.range == "agreed") bytes += hosted * parameters * sizeof(float);
    return bytes;
}

// Whether ranks of one machine add up updates where they lie: see Exchange::make_local(). Of several machines a configuration knows
// nothing.
bool reads_updates(const RunConfig& config, std::size_t hosted, int ranks, bool stays_on_gpus) {
    return !config.exchange.secure && config.exchange.transport != "messages" && !stays_on_gpus && config.local.ranks_per_silo == 1 &&
           hosted == 1 && ranks > 1;
}

std::size_t bytes_of(const Split& split) {
    return split.bytes.size() + (split.floats.size() + split.labels.size() + split.targets.size()) * sizeof(float);
}

// The largest sum over the silos that a group of ranks hosts.
template <class Bytes>
std::size_t of_largest_group(const std::vector<ShardBytes>& shards, int groups, const Bytes& bytes) {
    std::vector<std::size_t> sums(static_cast<std::size_t>(groups), 0);
    for (std::size_t silo = 0; silo < shards.size(); ++silo) sums[static_cast<std::size_t>(host_of(silo, groups))] += bytes(shards[silo]);
    return *std::max_element(sums.begin(), sums.end());
}

}  // namespace

std::size_t Memory::total() const {
    std::size_t sum = 0;
    for (const auto& [what, bytes] : parts) sum += bytes;
    return sum;
}

ShardBytes bytes_of(const Shard& shard) {
    const std::size_t train = bytes_of(shard.train);
    return {.all = train + bytes_of(shard.validation) + bytes_of(shard.test), .train = train};
}

std::string ranks_text(std::size_t ranks, std::uint64_t ranks_per_silo) {
    return counted(ranks, "rank") + (ranks_per_silo == 1 ? "" : fmt::format(", {} ranks each", ranks_per_silo));
}

Needs needs_of(const RunConfig& config, const Census& census, const std::vector<ShardBytes>& shards, std::size_t common_test_bytes,
               int ranks, std::size_t program_bytes, bool on_gpus) {
    const auto layers = layers_for(config.model, census.problem);
    const Threads threads(config.run.threads);
    const auto batch = static_cast<std::size_t>(config.local.part_size_for(std::max<std::uint64_t>(1, census.largest_train())));
    const auto each = config.local.ranks_per_silo;
    const int groups = config.local.groups_of(ranks);
    const std::size_t parameters = [&] {
        const Sequential network(layers, census.problem, config.model.loss, threads, 1);
        return network.layout().size();
    }();

    const std::size_t hosted = (shards.size() + static_cast<std::size_t>(groups) - 1) / static_cast<std::size_t>(groups);
    const auto settings = config.local.optimizer_settings();
    const std::size_t model_bytes = parameters * sizeof(float);

    Needs needs;
    const bool stays_on_gpus = on_gpus && config.exchange.transport == "nccl";
    const std::size_t batch_bytes = batch * (census.problem.features() + 1) * sizeof(float);
    const auto network_bytes = [&](const RunsOn& place) {
        return Sequential::estimate_memory_bytes(layers, census.problem, place, batch, settings, each > 1);
    };
    const std::size_t kept = config.local.keeps_state() ? settings.state_vectors() * model_bytes : 0;

    Memory& host = needs.host;
    host.add("program and MPI", program_bytes + later_bytes + std::min(model_bytes, transport_bytes));
    host.add("shards", of_largest_group(shards, groups, [](const ShardBytes& shard) { return shard.all; }));
    if (common_test_bytes > 0) host.add("common test", common_test_bytes);
    host.add(stays_on_gpus ? "copy of the global model" : "global model", model_bytes);
    if (on_gpus) {
        host.add("copy of the local model", model_bytes);
    } else {
        host.add("local model and network", model_bytes + batch_bytes + network_bytes(Stream(threads)));
    }
    if (each > 1) {
        // The sum, and chunks on their way: see ordered_sum.hpp and slice_pipeline.hpp.
        host.add("sum of gradients", model_bytes + std::min<std::size_t>(config.exchange.chunk_kib * 1024, model_bytes) * 4);
        needs.bytes_sent_per_step = 2 * model_bytes * (each - 1) / each;
    }
    // One silo's state more while a checkpoint writes it in the order of the layout.
    if (kept > 0) host.add("kept optimiser state", (on_gpus ? 1 : hosted) * kept);
    if (config.evaluation.compare_local) host.add("comparison with silos alone", 3 * model_bytes);
    if (!stays_on_gpus) host.add("exchange", exchange_bytes(config, parameters, hosted, ranks));
    const bool in_place = reads_updates(config, hosted, ranks, stays_on_gpus);
    if (in_place) {  // at most: who is done helps others
        const std::size_t own = Slices(parameters, ranks).largest();
        host.add("updates of other ranks, shared", model_bytes * static_cast<std::size_t>(ranks - 1));
        host.add("means of other ranks, shared", (parameters - own) * sizeof(double));
    }

    if (on_gpus) {
        Memory& gpu = needs.gpu;
        gpu.add("training rows", of_largest_group(shards, groups, [](const ShardBytes& shard) { return shard.train; }));
        gpu.add("network and workspace", network_bytes({true, 1}));
        const std::size_t measured = std::min(batch, logits_block) * census.problem.features() * sizeof(float);
        gpu.add("batches", batch_bytes + Sequential::steps_ahead * (batch * sizeof(std::uint32_t) + sizeof(kernels::LossSum)) + measured);
        gpu.add("models", (stays_on_gpus ? 2 : 1) * model_bytes);
        if (stays_on_gpus && (kept > 0 || config.evaluation.compare_local)) gpu.add("copies for the host", model_bytes);
        if (kept > 0 && hosted > 1) gpu.add("kept optimiser state", (hosted - 1) * kept);
        if (stays_on_gpus) gpu.add("exchange", gpu_exchange_bytes(config, parameters, hosted, ranks));
    }

    const Slices slices(parameters, ranks, static_cast<int>(each));
    const Slices part = slices.of_position(0);
    const std::uint64_t others = part.last() - part.first() - part.size(groups - 1);
    // Of words: also where updates are read in place, as floats, since what a configuration foretells may run on several machines.
    needs.bytes_sent_per_round =
        others * (config.exchange.ring_bits / 8) + slices.largest() * sizeof(float) * static_cast<std::uint64_t>(ranks - 1);
    return needs;
}

}  // namespace silosum

// From a configuration to a running federation: the parts in the order in which they need each other.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "comm/mpi.hpp"
#include "config/device_choice.hpp"
#include "config/run_config.hpp"
#include "federation/federation.hpp"
#include "kernels/isa.hpp"
#include "model/model_file.hpp"
#include "observe/checkpoint.hpp"

namespace silosum {

/// A federation ready for its first round, with what describes it. Refers to the communicator and to what `device` refers to.
struct Assembly {
    std::unique_ptr<Federation> federation;
    ModelDescription description;  // of the model to be trained, round 0
    RunIdentity identity;
    std::optional<CommonTest> common_test;
    ExchangeSetup exchange_setup;
};

/// Collective. Reads the configuration on rank 0 and gives it to all; all ranks throw the same AgreedError when it is wrong.
void load_on_all(const Communicator& world, RunConfig& config, const std::filesystem::path& file, const std::vector<std::string>& flags);

/// Refuses, as assemble() does, settings that do not go together or with so many silos. Local.
void check_run(const RunConfig& config, std::size_t silos);

/// Collective. The instruction set of a run: the configured one, or the best that every rank has; all kernels use it from now on.
kernels::Isa agree_on_isa(const Communicator& world, const std::string& name);

/// The shard of eval.common_test. DataError unless it fits the silos' problem and names.
[[nodiscard]] Shard read_common_test(const EvaluationConfig& config, const Census& census);

/// What training begins from: the parameters of run.warm_start, or random ones. description: of the model to be trained.
[[nodiscard]] Parameters first_parameters(const RunConfig& config, const Sequential& network, const ModelDescription& description);

/// Collective. Shards, features, network, initial or given model, exchange, algorithm. No observers yet. is_resumed: a checkpoint will
/// replace the model, so that run.warm_start need not be there any more.
[[nodiscard]] Assembly assemble(const Communicator& world, const RunConfig& config, const DeviceChoice& device, bool is_resumed = false);

/// Collective over the ranks that are left, whose communicator is the federation's by now. Makes anew what the dead were a part of: their
/// silos take part in nothing any more; the exchange and the global model, whose values are then to be published, are new ones. The old
/// ones are not freed, as MPI may still touch them. lost: all ids of their silos, ascending. Throws the same AgreedError on all ranks where
/// sums under masks cannot go on without them.
void leave_out(Assembly& assembly, const RunConfig& config, const std::vector<std::uint32_t>& lost);

}  // namespace silosum

// What `silosum plan` foretells of a GPU's memory, beside what a run has taken of the emulated one.
#include <gtest/gtest.h>

#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "config/assemble.hpp"
#include "config/needs.hpp"
#include "cuda_emulator.hpp"
#include "support/model_case.hpp"
#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

constexpr std::size_t silos = 3;

class PlanOfGpuMemory : public testing::Test {
protected:
    // Shards of images in a folder of rank 0.
    PlanOfGpuMemory() {
        emulator::set_devices(world.size());
        if (world.rank() == 0) {
            folder.emplace();
            place = folder->path().string();
        }
        broadcast_text(world, place, 0);
        const Problem problem = test::classes_of({1, 12, 12}, 4);
        for (std::uint32_t id = 0; id < silos; ++id) {
            Shard shard;
            shard.silo = fmt::format("s{}", id);
            shard.problem = problem;
            const test::Samples samples(problem, 100 + 25 * id);
            shard.train.rows = 100 + 25 * id;
            shard.train.features = problem.features();
            shard.train.floats = samples.x;
            shard.train.labels = samples.labels;
            if (world.rank() == 0) write_shard(std::filesystem::path(place) / fmt::format("s{}.h5", id), shard);
            shards.push_back(bytes_of(shard));
        }
        if (world.rank() == 0)
            write_text(std::filesystem::path(place) / "run.cfg", "[data]\nshards = .\n[local]\nsteps = 1\nbatch_size = 16\n");
        barrier(world);
    }
    ~PlanOfGpuMemory() override { barrier(world); }  // before the folder goes

    // Within a tenth: small arrays are not counted, and some that are counted are not alive at once.
    void expect_plan(std::vector<std::string> flags) {
        flags.insert(flags.end(), {"--run.device", "cuda", "--run.rounds", "2"});
        RunConfig config;
        load_on_all(world, config, std::filesystem::path(place) / "run.cfg", flags);
        const std::size_t before = emulator::allocated_bytes();
        emulator::forget_most_allocated();
        const Threads threads(1);
        const DeviceChoice device = choose_device(world, "cuda", "float32", threads);
        Assembly assembly = assemble(world, config, device);
        Federation& fed = *assembly.federation;
        fed.observers.push_back(std::make_unique<Evaluation>(config.evaluation, fed, std::nullopt));
        (void)run_synchronous(fed, {.number = 1, .total = 2, .participants = {}});
        for (const Silo& silo : fed.silos) (void)silo.optimizer_state(fed.trainer);  // as for a checkpoint
        double taken = static_cast<double>(emulator::most_allocated_bytes() - before);
        all_reduce_max(world, std::span(&taken, 1));
        const double planned = static_cast<double>(needs_of(config, fed.census, shards, 0, world.size(), 0, true).gpu.total());
        EXPECT_LE(taken, 1.1 * planned);
        EXPECT_GE(taken, 0.9 * planned);
    }

    Communicator world = Communicator::world();
    std::optional<TemporaryFolder> folder;
    std::string place;
    std::vector<ShardBytes> shards;
};

TEST_F(PlanOfGpuMemory, IsWhatARunTakes) {
    const std::vector<std::string> convolutions{"--model.name", "layers", "--model.layers",
                                                "conv 12 5 pad=2, relu, maxpool 2, conv 20 3, relu, dense outputs"};
    const std::vector<std::string> wide{"--model.name", "layers", "--model.layers", "dense 300, relu, dense outputs"};
    for (const auto& model : {convolutions, wide}) {
        for (const std::string transport : {"messages", "nccl"}) {
            for (const bool keeps : {false, true}) {
                SCOPED_TRACE(fmt::format("{}, {}, {}", model.back(), transport, keeps ? "keep" : "reset"));
                std::vector<std::string> flags = model;
                flags.insert(flags.end(), {"--exchange.transport", transport, "--exchange.range", keeps ? "agreed" : "from_previous"});
                if (keeps) flags.insert(flags.end(), {"--local.optimizer", "adam", "--local.state", "keep"});
                expect_plan(flags);
            }
        }
    }
}

}  // namespace
}  // namespace silosum

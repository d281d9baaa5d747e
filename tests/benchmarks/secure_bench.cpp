// Seconds of one secure round by number of silos, model, graph and leavers. Silos beyond the ranks are virtual: several on a rank, each
// with keys and masks of its own, all with the same update.
//   mpirun -np 4 secure_bench [--silos 4,16,64] [--parameters 1663370,25000000] [--graph complete,harary] [--dropouts 0,0.1] [--integrity
//   tags] [--rounds R]
// Wall time of the slowest rank, best of R rounds, and its phases on rank 0. With more ranks than cores phases hold waiting for a core.
#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/buffer.hpp"
#include "base/process.hpp"
#include "base/text.hpp"
#include "comm/collectives.hpp"
#include "exchange/secure_sum.hpp"
#include "kernels/fixed_point.hpp"

namespace silosum {
namespace {

struct Setting {
    std::uint32_t silos = 4;
    std::size_t parameters = 0;
    std::string graph;
    double dropouts = 0;
    std::string integrity;
    int rounds = 1;
};

Layout one_tensor(std::size_t parameters) {
    Layout layout;
    layout.add("weight", {parameters});
    return layout;
}

void measure(const Communicator& world, const Setting& setting) {
    ExchangeConfig config;
    config.secure = true;
    config.identities = "throwaway";
    config.weights = "uniform";
    config.graph = setting.graph;
    config.integrity = setting.integrity;
    config.corrupt = 0.05;
    config.dropouts = std::max(0.05, setting.dropouts);
    ExchangeSetup setup{.parameters = setting.parameters, .hosted = {}, .silos_per_round = setting.silos};
    Round round;
    for (std::uint32_t silo = 0; silo < setting.silos; ++silo) {
        round.participants.push_back(silo);
        setup.names.push_back(std::to_string(silo));
        if (static_cast<int>(silo) % world.size() == world.rank()) setup.hosted.push_back(silo);
    }
    round.total = static_cast<std::uint64_t>(setting.rounds);
    const auto leavers = static_cast<std::uint32_t>(setting.dropouts * setting.silos);
    for (int number = 1; number <= setting.rounds; ++number) {
        for (std::uint32_t silo = 0; silo < leavers; ++silo) config.rehearse_leaving.push_back(fmt::format("{}:{}:entry", number, silo));
    }
    SecureGroup group(world, config, setup.names, setup.hosted);
    SecureSum exchange(world, config, setup, group);
    Parameters global = exchange.make_model(one_tensor(setting.parameters));
    Buffer<float> local(setting.parameters);
    for (std::size_t i = 0; i < local.size(); ++i) local[i] = static_cast<float>(static_cast<int>(i * 2654435761U % 2001) - 1000) * 1e-6F;
    double best = 0;
    std::string phases;
    for (; round.number <= round.total; ++round.number) {
        barrier(world);
        const double start = wall_seconds();
        exchange.begin(round);
        for (const std::uint32_t silo : setup.hosted) {
            exchange.add({.silo = silo, .weight = 1, .local = local.span(), .global = global.values.span(), .steps = 1, .numbers = {}});
        }
        const Aggregate sum = exchange.finish(round);
        const auto slice = exchange.slice_of(global);
        // Away from the silos' models: every round has another one, as a sum on the same would be looked up in the ledgers.
        kernels::add_scaled(slice.size(), -0.01, sum.mean.data(), slice.data(), Threads());
        exchange.publish(global);
        double seconds = wall_seconds() - start;
        all_reduce_max(world, std::span<double>(&seconds, 1));
        if (best != 0 && seconds >= best) continue;
        best = seconds;
        phases.clear();
        for (const auto& [phase, time] : exchange.clock().phases()) phases += fmt::format(" {} {:.3g}", phase, time.wall);
    }
    if (world.rank() != 0) return;
    fmt::print("{:>3} {:>5} {:>10} {:<9}{:>4} {:>7.0f} % {:>9.3f} {}\n", world.size(), setting.silos, setting.parameters,
               group.plan().neighbours + 1 == setting.silos ? "complete" : "harary", group.plan().neighbours, 100 * setting.dropouts, best,
               phases);
    std::fflush(stdout);
}

void run(const std::vector<std::string>& arguments) {
    const Communicator world = Communicator::world();
    std::vector<std::string> silos{"4", "16"};
    std::vector<std::string> parameters{"1663370"};
    std::vector<std::string> graphs{"complete"};
    std::vector<std::string> dropouts{"0"};
    std::string integrity = "none";
    int rounds = 2;
    for (std::size_t i = 0; i + 1 < arguments.size(); i += 2) {
        const auto list = split(arguments[i + 1], ',');
        if (arguments[i] == "--silos") silos = list;
        if (arguments[i] == "--parameters") parameters = list;
        if (arguments[i] == "--graph") graphs = list;
        if (arguments[i] == "--dropouts") dropouts = list;
        if (arguments[i] == "--integrity") integrity = list.front();
        if (arguments[i] == "--rounds") rounds = std::stoi(list.front());
    }
    if (world.rank() == 0)
        fmt::print("{:>3} {:>5} {:>10} {:<9}{:>4} {:>9} {:>9}  {}\n", "np", "silos", "parameters", "graph", "k", "leave", "seconds",
                   "phases");
    for (const auto& size : parameters) {
        for (const auto& count : silos) {
            for (const auto& graph : graphs) {
                for (const auto& share : dropouts) {
                    try {
                        const auto number = static_cast<std::uint32_t>(std::stoul(count));
                        measure(world, {number, std::stoul(size), graph, std::stod(share), integrity, rounds});
                    } catch (const AgreedError& error) {  // such as no sparse graph of so few silos
                        if (world.rank() == 0) fmt::print("{:>3} {:>5} {:>10} {:<9} {}\n", world.size(), count, size, graph, error.what());
                    }
                }
            }
        }
    }
}

}  // namespace
}  // namespace silosum

int main(int argc, char** argv) {
    const silosum::Session session(argc, argv);
    try {
        silosum::run({argv + 1, argv + argc});
    } catch (const std::exception& error) {
        fmt::print(stderr, "secure_bench: {}\n", error.what());
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    return 0;
}

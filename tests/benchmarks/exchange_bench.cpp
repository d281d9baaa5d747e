// Times the exact sum of a model over the ranks, plain and under masks, from the silos' models to the published new model, against two
// baselines: a float32 round that does the same (weighted difference, MPI_Allreduce, step on the model), and MPI_Allreduce of float32
// alone. Under masks every silo hashes the new model too: that is in the time, and shown as a phase.
//   mpirun -np 4 exchange_bench [PARAMETERS ...] [--chunk-kib K] [--repetitions R] [--ring-bits B] [--transport T]
// All ways run interleaved, so that a busy machine hurts them alike. Two figures each: wall time of the slowest rank, and CPU time of
// all ranks divided by the cores in use (waiting included: with more ranks than cores, waiting takes a core from others).
#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "base/buffer.hpp"
#include "base/process.hpp"
#include "comm/collectives.hpp"
#include "exchange/exact_sum.hpp"
#include "exchange/secure_sum.hpp"
#include "kernels/fixed_point.hpp"

namespace silosum {
namespace {

struct Timing {
    std::vector<double> wall;
    std::vector<double> cpu;
};

struct Way {
    std::string name;
    std::function<void()> run;
    Timing timing;
};

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

void time_once(const Communicator& world, Way& way, double cores) {
    barrier(world);
    MPI_Barrier(world.handle());
    const double cpu = cpu_seconds();
    const double wall = wall_seconds();
    way.run();
    double slowest = wall_seconds() - wall;
    double used = cpu_seconds() - cpu;
    double total = 0;
    mpi_check(MPI_Allreduce(&used, &total, 1, MPI_DOUBLE, MPI_SUM, world.handle()));
    all_reduce_max(world, std::span<double>(&slowest, 1));
    way.timing.wall.push_back(slowest);
    way.timing.cpu.push_back(total / cores);
}

constexpr const char* tuned = "MPI_Allreduce, malloc tuned";

// What a round does with its one silo a rank.
class SummedRound {
public:
    SummedRound(const Communicator& world, const ExchangeConfig& config, std::size_t parameters)
        : local_(parameters),
          group_(config.secure
                     ? std::make_unique<SecureGroup>(world, config, setup(world, parameters).names, setup(world, parameters).hosted)
                     : nullptr),
          exchange_(make_exchange(world, config, parameters)),
          global_(exchange_->make_model(one_tensor(parameters))),
          silo_(static_cast<std::uint32_t>(world.rank())) {
        for (std::size_t i = 0; i < parameters; ++i)
            local_[i] = static_cast<float>(static_cast<int>(i * 2654435761U % 2001) - 1000) * 1e-6F;
        for (int rank = 0; rank < world.size(); ++rank) round_.participants.push_back(static_cast<std::uint32_t>(rank));
        round_.total = std::numeric_limits<std::uint64_t>::max();
    }
    void run() {
        exchange_->begin(round_);
        exchange_->add({.silo = silo_, .weight = 600, .local = local_.span(), .global = global_.values.span(), .steps = 60, .numbers = {}});
        const Aggregate sum = exchange_->finish(round_);
        const auto slice = exchange_->slice_of(global_);
        // Away from the silos' models: every round has another one, as a sum on the same would be looked up in the ledgers.
        kernels::add_scaled(slice.size(), -0.01, sum.mean.data(), slice.data(), Threads());
        exchange_->publish(global_);
        for (const auto& [phase, time] : exchange_->clock().phases()) phases_[phase].push_back(time);
        round_ = Round{.number = round_.number + 1, .total = round_.total, .participants = std::move(round_.participants)};
    }
    // Median CPU seconds of all ranks, by phase.
    void print_phases(const Communicator& world, double cores) const {
        std::string line;
        for (const auto& [phase, times] : phases_) {
            std::vector<double> cpu;
            for (const auto& time : times) {
                double total = 0;
                mpi_check(MPI_Allreduce(&time.cpu, &total, 1, MPI_DOUBLE, MPI_SUM, world.handle()));
                cpu.push_back(total / cores);
            }
            line += fmt::format("  {} {:.2f}", phase, 1e3 * median(cpu));
        }
        if (world.rank() == 0) fmt::print("      CPU ms by phase, {}:{}\n", group_ ? "secure" : "plain", line);
    }

private:
    std::unique_ptr<Exchange> make_exchange(const Communicator& world, const ExchangeConfig& config, std::size_t parameters) {
        if (group_) return std::make_unique<SecureSum>(world, config, setup(world, parameters), *group_);
        return std::make_unique<ExactSum>(world, config, setup(world, parameters));
    }
    static ExchangeSetup setup(const Communicator& world, std::size_t parameters) {
        std::vector<std::string> names;
        for (int rank = 0; rank < world.size(); ++rank) names.push_back(std::to_string(rank));
        return {.parameters = parameters,
                .hosted = {static_cast<std::uint32_t>(world.rank())},
                .silos_per_round = static_cast<std::size_t>(world.size()),
                .largest_shard = 600,
                .numbers = 0,
                .names = names};
    }

    static Layout one_tensor(std::size_t parameters) {
        Layout layout;
        layout.add("weight", {parameters});
        return layout;
    }

    Buffer<float> local_;
    std::unique_ptr<SecureGroup> group_;
    std::unique_ptr<Exchange> exchange_;
    Parameters global_;
    std::uint32_t silo_;
    Round round_;
    std::map<std::string, std::vector<PhaseTime>> phases_;
};

// MPI_Allreduce allocates a temporary vector each time; keeping freed memory spares it the page faults.
void keep_freed_memory(bool keep) {
    mallopt(M_MMAP_MAX, keep ? 0 : 65536);
    mallopt(M_TRIM_THRESHOLD, keep ? std::numeric_limits<int>::max() : 128 * 1024);
    if (!keep) malloc_trim(0);
}

void measure(const Communicator& world, const ExchangeConfig& config, std::size_t parameters, int repetitions) {
    const double cores = std::min<double>(world.size(), std::max(1U, std::thread::hardware_concurrency()));
    Buffer<float> sent(parameters);
    Buffer<float> received(parameters);
    for (std::size_t i = 0; i < parameters; ++i) sent[i] = static_cast<float>(i % 1000) * 1e-6F;
    SummedRound round(world, config, parameters);
    const auto all_reduce = [&] {
        mpi_check(MPI_Allreduce(sent.data(), received.data(), static_cast<int>(parameters), MPI_FLOAT, MPI_SUM, world.handle()));
    };
    Buffer<float> global(parameters);
    const float weight = 600;
    const auto float_round = [&] {
        const float* local = sent.data();
        for (std::size_t i = 0; i < parameters; ++i) received[i] = weight * (local[i] - global[i]);
        mpi_check(MPI_Allreduce(MPI_IN_PLACE, received.data(), static_cast<int>(parameters), MPI_FLOAT, MPI_SUM, world.handle()));
        const float share = 1 / (weight * static_cast<float>(world.size()));
        for (std::size_t i = 0; i < parameters; ++i) global[i] += share * received[i];
    };
    std::vector<Way> ways;
    ways.push_back({"MPI_Allreduce float32", all_reduce, {}});
    ways.push_back({fmt::format("exact sum, {} bits", config.ring_bits), [&] { round.run(); }, {}});
    ways.push_back({"float32 round", float_round, {}});
    ways.push_back({tuned, all_reduce, {}});
    std::unique_ptr<SummedRound> secure;
    if (world.size() >= 3) {
        ExchangeConfig under_masks = config;
        under_masks.secure = true;
        under_masks.identities = "throwaway";
        secure = std::make_unique<SummedRound>(world, under_masks, parameters);
        ways.push_back({fmt::format("secure sum, {} bits", config.ring_bits), [&] { secure->run(); }, {}});
    }

    for (int repetition = -1; repetition < repetitions; ++repetition) {
        for (std::size_t way = 0; way < ways.size(); ++way) {
            const bool is_tuned = ways[way].name == tuned;
            keep_freed_memory(is_tuned);
            if (is_tuned) all_reduce();  // grows the heap once
            time_once(world, ways[way], cores);
            if (repetition < 0) ways[way].timing = {};
        }
        keep_freed_memory(false);
    }
    const auto& base = ways.front().timing;
    for (const Way& way : ways) {
        if (world.rank() != 0) break;
        fmt::print("{:>3} {:>10} {:<28} {:>9.2f} {:>9.2f} {:>9.2f} {:>8.2f}x {:>8.2f}x\n", world.size(), parameters, way.name,
                   1e3 * median(way.timing.wall), 1e3 * *std::min_element(way.timing.wall.begin(), way.timing.wall.end()),
                   1e3 * median(way.timing.cpu), median(base.wall) / median(way.timing.wall), median(base.cpu) / median(way.timing.cpu));
    }
    round.print_phases(world, cores);
    if (secure) secure->print_phases(world, cores);
    if (world.rank() == 0) std::fflush(stdout);
}

void run(const std::vector<std::string>& arguments) {
    const Communicator world = Communicator::world();
    Options unused;
    ExchangeConfig config;
    config.add_to(unused);
    int repetitions = 9;
    std::vector<std::size_t> sizes;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const auto value = [&] { return std::stoul(arguments.at(++i)); };
        if (arguments[i] == "--chunk-kib") {
            config.chunk_kib = value();
        } else if (arguments[i] == "--repetitions") {
            repetitions = static_cast<int>(value());
        } else if (arguments[i] == "--transport") {
            config.transport = arguments.at(++i);
        } else if (arguments[i] == "--ring-bits") {
            config.ring_bits = value();
        } else {
            sizes.push_back(std::stoul(arguments[i]));
        }
    }
    if (sizes.empty()) sizes = {1'663'370, 25'000'000};
    if (world.rank() == 0) {
        fmt::print("ms: median and best wall of the slowest rank, CPU of all ranks / cores; gain over MPI_Allreduce by wall and by CPU\n");
        fmt::print("{:>3} {:>10} {:<28} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "np", "parameters", "way", "wall", "best", "CPU", "wall", "CPU");
    }
    for (const std::size_t parameters : sizes) measure(world, config, parameters, repetitions);
}

}  // namespace
}  // namespace silosum

int main(int argc, char** argv) {
    const silosum::Session session(argc, argv);
    try {
        silosum::run({argv + 1, argv + argc});
    } catch (const std::exception& error) {
        fmt::print(stderr, "exchange_bench: {}\n", error.what());
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    return 0;
}

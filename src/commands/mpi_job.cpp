#include "commands/mpi_job.hpp"

#include <chrono>
#include <cstdio>
#include <thread>

#include <fmt/format.h>

#include "base/error.hpp"
#include "comm/rank_died.hpp"
#include "comm/watch.hpp"

namespace silosum {

int in_mpi_job(const Launch& launch, const std::function<int(const Communicator& world)>& work) {
    int argc = 0;
    char** argv = nullptr;
    Session session(argc, argv);
    Communicator world = Communicator::world();
    if (const auto problem = problem_with(launch, world.size()); !problem.empty()) {
        if (launch.is_first) fmt::print(stderr, "silosum: {}\n", problem);
        return static_cast<int>(ExitCode::usage);
    }
    world.watch_deaths();
    session.keep(world.shared_watch());
    world.call_the_roll();
    const Watch& watch = *world.watch();
    try {
        return session.end(work(world));
    } catch (const AgreedError& error) {
        if (watch.is_first()) fmt::print(stderr, "silosum: {}\n", error.what());
        return session.end(static_cast<int>(error.code()));
    } catch (const RankDied& death) {
        if (watch.is_first()) {
            fmt::print(stderr, "silosum: {}\n", death.what());
        } else {
            std::this_thread::sleep_for(std::chrono::seconds(1));  // the end of one is the end of all, with most launchers
        }
        world.abort(static_cast<int>(ExitCode::runtime));
    } catch (const Error& error) {
        fmt::print(stderr, "silosum: rank {}: {}\n", world.rank(), error.what());
        world.abort(static_cast<int>(error.code()));
    } catch (const std::exception& error) {
        fmt::print(stderr, "silosum: rank {}: {}\n", world.rank(), text_of(error));
        world.abort(static_cast<int>(ExitCode::runtime));
    }
}

}  // namespace silosum

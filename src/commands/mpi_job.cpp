#include "commands/mpi_job.hpp"

#include <cstdio>

#include <fmt/format.h>

#include "base/error.hpp"

namespace silosum {

int in_mpi_job(const std::function<int(const Communicator& world)>& work) {
    int argc = 0;
    char** argv = nullptr;
    const Session session(argc, argv);
    const Communicator world = Communicator::world();
    try {
        return work(world);
    } catch (const AgreedError& error) {
        if (world.rank() == 0) fmt::print(stderr, "silosum: {}\n", error.what());
        return static_cast<int>(error.code());
    } catch (const Error& error) {
        fmt::print(stderr, "silosum: rank {}: {}\n", world.rank(), error.what());
        world.abort(static_cast<int>(error.code()));
    } catch (const std::exception& error) {
        fmt::print(stderr, "silosum: rank {}: {}\n", world.rank(), text_of(error));
        world.abort(static_cast<int>(ExitCode::runtime));
    }
}

}  // namespace silosum

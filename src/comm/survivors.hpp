// The part of MPI in going on without dead ranks. Two ways, of which the build takes one: survivors_ulfm.cpp where MPI is fault tolerant
// (ULFM, as Open MPI 5 under `mpirun --with-ft ulfm`), survivors_mpi3.cpp elsewhere (Open MPI 4 under `mpirun --enable-recovery`).
#pragma once

#include <string>
#include <vector>

#include <mpi.h>

namespace silosum {

/// Its name, for people.
[[nodiscard]] std::string way_to_survive();

/// Whether an error of MPI says that a rank has died.
[[nodiscard]] bool tells_of_death(int mpi_code);

/// Whether survivors_of() finds out by itself who is alive. Where not, all survivors must agree on it before.
[[nodiscard]] bool finds_survivors();

/// A communicator of the ranks of `all` that are alive, in the same order: of those, and of nobody else, where the ranks have to agree on
/// them before. Collective over them; returns when all are there. The ranks that have died need not be known to be dead.
[[nodiscard]] MPI_Comm survivors_of(MPI_Comm all, const std::vector<int>& living);

}  // namespace silosum

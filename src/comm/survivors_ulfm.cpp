// By User Level Failure Mitigation, which is no part of MPI 4.1 but of Open MPI from 5.0 on.
#include "comm/mpi.hpp"
#include "comm/survivors.hpp"

#include <mpi-ext.h>

namespace silosum {

std::string way_to_survive() {
    return "ULFM";
}

bool tells_of_death(int mpi_code) {
    int kind = MPI_SUCCESS;
    MPI_Error_class(mpi_code, &kind);
    return kind == MPIX_ERR_PROC_FAILED || kind == MPIX_ERR_PROC_FAILED_PENDING || kind == MPIX_ERR_REVOKED;
}

bool finds_survivors() {
    return true;
}

MPI_Comm survivors_of(MPI_Comm all, const std::vector<int>& /*living*/) {
    MPIX_Comm_revoke(all);  // whoever still waits for the dead hears of it now
    MPI_Comm survivors = MPI_COMM_NULL;
    mpi_check(MPIX_Comm_shrink(all, &survivors));
    return survivors;
}

}  // namespace silosum

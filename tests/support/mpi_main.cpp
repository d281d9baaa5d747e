// main of the MPI tests: starts MPI, fails on a wrong rank count, and makes every rank fail when one does.
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>
#include <mpi.h>

int main(int argc, char** argv) {
    MPI_Init(&argc, &argv);
    testing::InitGoogleTest(&argc, argv);
    int rank = 0;
    int ranks = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    const char* expected = std::getenv("SILOSUM_TEST_RANKS");
    if (expected != nullptr && std::to_string(ranks) != expected) {
        std::fprintf(stderr, "started with %d ranks, wanted %s\n", ranks, expected);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    if (rank != 0)
        delete testing::UnitTest::GetInstance()->listeners().Release(
            testing::UnitTest::GetInstance()->listeners().default_result_printer());
    int failed = RUN_ALL_TESTS();
    int any = 0;
    MPI_Allreduce(&failed, &any, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    if (failed != 0 && rank != 0) std::fprintf(stderr, "rank %d failed\n", rank);
    MPI_Finalize();
    return any;
}

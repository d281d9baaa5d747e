// Processes that a launcher has started, and that MPI has not made one job of, are told so.
#include "comm/launch.hpp"

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace silosum {
namespace {

class LaunchTest : public testing::Test {
protected:
    void SetUp() override { forget(); }
    void TearDown() override { forget(); }
    static void forget() {
        for (const char* name : {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_PROCID",
                                 "SLURM_HET_SIZE", "SLURM_NTASKS_HET_GROUP_0", "SLURM_NTASKS_HET_GROUP_1"}) {
            ::unsetenv(name);
        }
    }
    static std::string problem(const std::vector<std::pair<const char*, const char*>>& environment, int ranks) {
        forget();
        for (const auto& [name, value] : environment) ::setenv(name, value, 1);
        return problem_with(launch_of_this_process(), ranks);
    }
};

TEST_F(LaunchTest, NobodyHasSaidAnything) {
    EXPECT_EQ(problem({}, 1), "");
    EXPECT_EQ(problem({}, 7), "");
}

TEST_F(LaunchTest, AStepOfSrunIsAllOfItsTasks) {
    EXPECT_EQ(problem({{"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_NTASKS", "8"}}, 4), "");
    EXPECT_THAT(problem({{"SLURM_STEP_NUM_TASKS", "4"}}, 1), testing::HasSubstr("srun started 4 processes, but for MPI each is alone"));
}

TEST_F(LaunchTest, MpirunInsideAJobMayStartFewer) {
    EXPECT_EQ(problem({{"OMPI_COMM_WORLD_SIZE", "2"}, {"SLURM_NTASKS", "8"}}, 2), "");
    EXPECT_THAT(problem({{"OMPI_COMM_WORLD_SIZE", "2"}}, 1), testing::HasSubstr("mpirun started 2 processes"));
}

TEST_F(LaunchTest, AloneInAJobOfManyTasks) {
    EXPECT_EQ(problem({{"SLURM_NTASKS", "1"}}, 1), "");
    EXPECT_THAT(problem({{"SLURM_NTASKS", "8"}}, 1), testing::HasSubstr("this job of SLURM has 8 tasks, but 1 process was started"));
}

// Hydra's mpiexec starts a process of its own on every node by srun, and that the ranks of the node.
TEST_F(LaunchTest, AnotherLauncherInsideAJobIsBelieved) {
    EXPECT_EQ(problem({{"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_NTASKS", "8"}}, 8), "");
    EXPECT_EQ(problem({{"SLURM_NTASKS", "8"}}, 4), "");
}

TEST_F(LaunchTest, AHeterogeneousJobIsAllOfItsGroups) {
    const std::pair<const char*, const char*> groups[] = {
        {"SLURM_HET_SIZE", "2"}, {"SLURM_NTASKS_HET_GROUP_0", "2"}, {"SLURM_NTASKS_HET_GROUP_1", "3"}};
    EXPECT_EQ(problem({groups[0], groups[1], groups[2], {"SLURM_STEP_NUM_TASKS", "5"}}, 5), "");
    EXPECT_THAT(problem({groups[0], groups[1], groups[2], {"SLURM_STEP_NUM_TASKS", "2"}}, 2),
                testing::HasSubstr("have 5 tasks, but only 2 of them were started together"));
}

TEST_F(LaunchTest, OnlyTheFirstSpeaks) {
    ::setenv("SLURM_STEP_NUM_TASKS", "4", 1);
    ::setenv("SLURM_PROCID", "3", 1);
    EXPECT_FALSE(launch_of_this_process().is_first);
    ::setenv("SLURM_PROCID", "0", 1);
    EXPECT_TRUE(launch_of_this_process().is_first);
}

}  // namespace
}  // namespace silosum

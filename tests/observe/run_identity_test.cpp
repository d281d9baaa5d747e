// Every setting and shard that differs is told, and nothing else.
#include "observe/run_identity.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace silosum {
namespace {

using testing::ElementsAre;

const RunIdentity identity{.configuration = "local.lr=0.1\nlocal.momentum=0\nrun.seed=1\nrun.warm_start=\n",
                           .layout = "0.weight 2x3\n",
                           .isa = "avx2",
                           .silos = {{"north", "aa"}, {"south", "bb"}}};

TEST(RunIdentity, DiffersFromItselfInNothing) {
    EXPECT_TRUE(identity.differences(identity).empty());
}

TEST(RunIdentity, TellsEverySettingWithItsOldAndNewValue) {
    RunIdentity other = identity;
    other.configuration = "local.lr=0.3\nlocal.beta1=0.9\nrun.seed=1\nrun.warm_start=a.h5\n";
    EXPECT_THAT(identity.differences(other), ElementsAre("local.beta1: was not in use, is 0.9", "local.lr: was 0.1, is 0.3",
                                                         "local.momentum: was 0, is not in use", "run.warm_start: was empty, is a.h5"));
}

TEST(RunIdentity, TellsEverySiloThatIsMissingNewOrChanged) {
    RunIdentity other = identity;
    other.silos = {{"south", "cc"}, {"west", "aa"}};
    EXPECT_THAT(identity.differences(other), ElementsAre("data: silo \"north\" is missing", "data: the shard of silo \"south\" has changed",
                                                         "data: silo \"west\" is new"));
}

// The order gives silos their numbers, and with them their random streams.
TEST(RunIdentity, TellsAnotherOrderOfTheSameSilos) {
    RunIdentity other = identity;
    std::swap(other.silos[0], other.silos[1]);
    EXPECT_THAT(identity.differences(other), ElementsAre("data: the order of the silos was north, south, is south, north"));
}

TEST(RunIdentity, TellsAnotherInstructionSetAndHowToKeepIt) {
    RunIdentity other = identity;
    other.isa = "avx512";
    EXPECT_THAT(identity.differences(other),
                ElementsAre("device or instruction set: was avx2, is avx512; choose with --run.device and --run.isa"));
}

TEST(RunIdentity, TellsOtherTensorsWhereNoSettingExplainsThem) {
    RunIdentity other = identity;
    other.layout = "0.weight 2x4\n";
    EXPECT_THAT(identity.differences(other), ElementsAre("model: the layers have other tensors"));
    other.configuration = "local.lr=0.1\nlocal.momentum=0\nrun.seed=2\nrun.warm_start=\n";
    EXPECT_THAT(identity.differences(other), ElementsAre("run.seed: was 1, is 2"));
}

}  // namespace
}  // namespace silosum

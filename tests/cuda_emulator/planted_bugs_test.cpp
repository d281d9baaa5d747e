// Every planted bug is found as the table in its file says, and its correct twin passes under all seeds.
#include "tests/cuda_emulator/planted_bugs.hpp"

#include <gmock/gmock.h>

#include <fstream>

#include "emulator.hpp"
#include "where.hpp"

namespace {

constexpr unsigned seeds = 8;

std::vector<PlantedBug> all_bugs() {
    std::vector<PlantedBug> all;
    for (const auto& list : {planted_in_barriers(), planted_in_warps(), planted_in_memory(), planted_in_order(), planted_in_values()}) {
        all.insert(all.end(), list.begin(), list.end());
    }
    return all;
}

std::string expectation(const PlantedBug& bug) {
#if defined(__SANITIZE_ADDRESS__)
    return bug.sanitized;
#else
    if (emulator::runs_ptx()) return bug.ptx;
    return emulator::checks_accesses() ? bug.checked : bug.plain;
#endif
}

// "planted_memory.cu:12", for the line with the mark.
std::string marked_place(const PlantedBug& bug) {
    std::ifstream in(std::string(SILOSUM_PLANTED_FOLDER) + "/" + bug.file);
    int number = 0;
    for (std::string line; std::getline(in, line);) {
        ++number;
        if (line.ends_with("planted: " + bug.name)) return std::string(bug.file) + ":" + std::to_string(number);
    }
    return "no line is marked";
}

unsigned wrong_seeds(const PlantedBug& bug) {
    unsigned wrong = 0;
    for (unsigned seed = 0; seed < seeds; ++seed) {
        emulator::set_seed(seed);
        wrong += bug.run(true) ? 0 : 1;
    }
    return wrong;
}

class PlantedBugs : public testing::TestWithParam<PlantedBug> {};

TEST_P(PlantedBugs, CorrectTwinPassesUnderAllSeeds) {
    for (unsigned seed = 0; seed < seeds; ++seed) {
        emulator::set_seed(seed);
        EXPECT_TRUE(GetParam().run(false)) << "seed " << seed;
    }
}

TEST_P(PlantedBugs, IsFound) {
    const PlantedBug& bug = GetParam();
    const std::string expected = expectation(bug);
    emulator::set_seed(0);
    if (expected == "not looked at") {
        GTEST_SKIP() << "not looked at in this build";
    } else if (expected == "wrong") {
        EXPECT_FALSE(bug.run(true));
    } else if (expected == "some seed") {
        EXPECT_GT(wrong_seeds(bug), 0u);
    } else if (expected == "passes") {
        EXPECT_TRUE(bug.run(true));
    } else if (expected.starts_with("dies: ")) {
        EXPECT_DEATH(bug.run(true), expected.substr(6));
    } else {
        for (unsigned seed = 0; seed < seeds; ++seed) {
            emulator::set_seed(seed);
            try {
                bug.run(true);
                ADD_FAILURE() << "seed " << seed << ": nothing found";
            } catch (const emulator::Error& error) {
                EXPECT_THAT(error.what(), testing::HasSubstr(marked_place(bug))) << "seed " << seed;
                EXPECT_THAT(error.what(), testing::HasSubstr(seed == 0 ? expected : "")) << "seed " << seed;
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(All, PlantedBugs, testing::ValuesIn(all_bugs()), [](const auto& test) { return test.param.name; });

}  // namespace

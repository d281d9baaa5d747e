// All ranks come to the same limits of their machine.
#include "benchmark/machine_limits.hpp"

#include <algorithm>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "comm/collectives.hpp"

namespace silosum {
namespace {

TEST(MachineLimits, AreTheSameOnAllRanksAndAboveNothing) {
    const Communicator world = Communicator::world();
    const double cores = std::min<double>(world.size(), std::max(1U, std::thread::hardware_concurrency()));
    for (const char* const cipher : {"aes128-ctr", "chacha20"}) {
        const auto limits = measure_limits(world, cipher);
        const nlohmann::json json = limits.to_json();
        const std::string text = json.dump();
        for (const auto& of_rank : all_gather_text(world, text)) EXPECT_EQ(of_rank, text);
        for (const auto& [name, rate] : json.items()) {
            EXPECT_GT(rate.get<double>(), 0) << name;
        }
        EXPECT_EQ(limits.cores, cores);
        EXPECT_EQ(limits.machines, 1);
        EXPECT_THAT(text_of(limits, cipher), testing::HasSubstr(cipher));
    }
}

TEST(MemoryProbe, SaysTheSameOnAllRanks) {
    const Communicator world = Communicator::world();
    MemoryProbe memory(world);
    for (int i = 0; i < 2; ++i) {
        const double now = memory.now();
        EXPECT_GT(now, 1e8);
        for (const double of_rank : all_gather(world, now)) EXPECT_EQ(of_rank, now);
    }
}

}  // namespace
}  // namespace silosum

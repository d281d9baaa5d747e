// Ranks that die, each in another case, until few are left. The launcher lets ranks outlive each other and forgets their exit codes: the
// last line of the first survivor is the verdict.
#include <csignal>
#include <cstdio>
#include <optional>

#include <gtest/gtest.h>

#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "comm/nodes.hpp"
#include "comm/slice_pipeline.hpp"
#include "comm/watch.hpp"

namespace silosum {
namespace {

std::optional<Communicator> world;  // those who are left

// What the ranks do until one finds that the last of them is dead; then those who are left are `world`.
template <class Work>
void lose_the_last(Work&& work) {
    const int before = world->size();
    EXPECT_THROW(
        {
            barrier(*world);  // whoever comes out of it knows that nobody waits for anything before
            for (;;) work();
        },
        RankDied);
    EXPECT_THROW(barrier(*world), RankDied) << "also every wait from then on";
    *world = world->survivors();
    EXPECT_EQ(world->size(), before - 1);
}

[[nodiscard]] bool is_last() {
    return world->rank() == world->size() - 1;
}

std::uint64_t sum_of_ones() {
    std::uint64_t one = 1;
    all_reduce_sum(*world, std::span<std::uint64_t>(&one, 1));
    return one;
}

TEST(Watch, ADeathInACollectiveIsNoticedByAllAndTheOthersGoOn) {
    const auto before = static_cast<std::uint64_t>(world->size());
    int turns = 0;
    lose_the_last([&] {
        if (is_last() && ++turns == 3) std::raise(SIGKILL);
        (void)sum_of_ones();
    });
    EXPECT_EQ(sum_of_ones(), before - 1);
    EXPECT_TRUE(world->watch()->has_dead());
    EXPECT_EQ(world->watch()->text(), "rank " + std::to_string(before - 1) + " has died");
}

TEST(Watch, ADeathAmongTextsLeavesNoMessageThatOthersWouldTakeForLaterOnes) {
    const std::string long_text(1 << 20, static_cast<char>('a' + world->rank()));
    int turns = 0;
    lose_the_last([&] {
        if (is_last() && ++turns == 2) std::raise(SIGKILL);
        (void)all_gather_text(*world, long_text);
    });
    for (const auto& text : all_gather_text(*world, "now")) EXPECT_EQ(text, "now");
}

TEST(Watch, ADeathBetweenTheChunksOfASum) {
    for (const bool shares : {true, false}) {
        const Slices slices(5000, world->size());
        const Nodes nodes = shares ? Nodes(*world, 2) : Nodes::apart(*world);  // ranks wait for words to forward, too
        auto pipeline = std::make_unique<SlicePipeline<std::uint32_t>>(*world, nodes, slices, 4096);
        int chunks = 0;
        lose_the_last([&] {
            const auto source = [&](std::size_t, std::size_t n, std::uint32_t* words) {
                if (is_last() && ++chunks == 5) std::raise(SIGKILL);
                std::fill_n(words, n, 1U);
                return words;
            };
            const auto sink = [](std::size_t, std::size_t, std::span<const std::uint32_t* const>) {};
            (void)pipeline->run(std::vector<bool>(static_cast<std::size_t>(world->size()), true), source, sink);
        });
        (void)pipeline.release();  // MPI may still touch it
        EXPECT_EQ(sum_of_ones(), static_cast<std::uint64_t>(world->size()));
    }
}

TEST(Watch, ADeathIsNoErrorThatRanksCouldAgreeOn) {
    lose_the_last([&] {
        if (is_last()) std::raise(SIGKILL);
        agree_on_error(*world, error_of([&] { barrier(*world); }));
    });
}

TEST(Watch, ARankThatEndsWithoutAWordIsADeadOne) {
    lose_the_last([&] {
        if (is_last()) _exit(0);
        barrier(*world);
    });
}

}  // namespace
}  // namespace silosum

int main(int argc, char** argv) {
    using silosum::world;
    silosum::Session session(argc, argv);
    testing::InitGoogleTest(&argc, argv);
    world = silosum::Communicator::world();
    world->set_deadline(60);
    world->watch_deaths();
    session.keep(world->shared_watch());
    if (world->rank() != 0)
        delete testing::UnitTest::GetInstance()->listeners().Release(
            testing::UnitTest::GetInstance()->listeners().default_result_printer());
    const int ranks = world->size();
    const std::uint64_t failed = RUN_ALL_TESTS() != 0 ? 1 : 0;
    std::uint64_t any = failed;
    silosum::all_reduce_max(*world, std::span<std::uint64_t>(&any, 1));
    if (world->rank() == 0)
        std::printf("%d of %d ranks are left, %s\n", world->size(), ranks, any == 0 ? "all is well" : "something failed");
    return session.end(static_cast<int>(any));
}

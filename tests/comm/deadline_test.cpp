// Ranks that wait for one which does not come must say so in time; when it does come, the job can still end in order.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <mpi.h>

#include "base/error.hpp"
#include "comm/collectives.hpp"

namespace silosum {
namespace {

template <class Work>
std::string message_of(Work&& work) {
    try {
        work();
    } catch (const RuntimeError& error) {
        return error.what();
    }
    return "";
}

TEST(Deadline, WaitingRanksThrowAndNameWhatTheyWaitedFor) {
    Communicator world = Communicator::world();
    Communicator late = world.duplicate();
    const bool is_late = world.rank() == world.size() - 1;
    if (!is_late) {
        late.set_deadline(0.05);
        const std::string text = message_of([&] { barrier(late); });
        EXPECT_NE(text.find("0.05 s"), std::string::npos) << text;
        EXPECT_NE(text.find("all ranks to reach a barrier"), std::string::npos) << text;
    }
    barrier(world);  // only now has every other rank given up
    if (is_late) barrier(late);
    barrier(world);
}

// A rank that waits answers; one that is stopped, or computes, does not.
TEST(Deadline, TheRankThatIsMissingIsNamed) {
    Communicator world = Communicator::world();
    world.call_the_roll();
    Communicator late = world.duplicate();
    const int last = world.size() - 1;
    if (world.rank() == 0) {
        late.set_deadline(0.3);
        const std::string text = message_of([&] { barrier(late); });
        EXPECT_NE(text.find(fmt::format("rank {} does not answer", last)), std::string::npos) << text;
        MPI_Send(nullptr, 0, MPI_BYTE, last, 0, world.handle());
    } else {
        if (world.rank() == last) MPI_Recv(nullptr, 0, MPI_BYTE, 0, 0, world.handle(), MPI_STATUS_IGNORE);  // without an ear for questions
        barrier(late);
    }
    barrier(world);
}

TEST(Deadline, WhereAllAnswerTheMessageSaysSo) {
    Communicator world = Communicator::world();
    world.call_the_roll();
    Communicator late = world.duplicate();
    if (world.rank() == 0) {
        late.set_deadline(0.05);
        const std::string text = message_of([&] { barrier(late); });
        EXPECT_NE(text.find("all ranks answer"), std::string::npos) << text;
    }
    barrier(world);
    if (world.rank() != 0) barrier(late);
    barrier(world);
}

TEST(Deadline, AMissingMessageIsNamed) {
    Communicator world = Communicator::world();
    Communicator late = world.duplicate();
    const int last = world.size() - 1;
    std::uint64_t word = 0;
    if (world.rank() == 0) {
        late.set_deadline(0.05);
        Transfers transfers(late);
        transfers.receive(&word, sizeof word, last);
        const std::string text = message_of([&] { transfers.wait("the word of the last rank"); });
        EXPECT_NE(text.find("the word of the last rank"), std::string::npos) << text;
        EXPECT_TRUE(transfers.pending());
        barrier(world);
        late.set_deadline(60);
        transfers.wait("the word of the last rank");
        EXPECT_EQ(word, 7U);
        EXPECT_FALSE(transfers.pending());
    } else {
        barrier(world);
        if (world.rank() == last) {
            word = 7;
            Transfers transfers(late);
            transfers.send(&word, sizeof word, 0);
            transfers.wait("rank 0");
        }
    }
    barrier(world);
}

}  // namespace
}  // namespace silosum

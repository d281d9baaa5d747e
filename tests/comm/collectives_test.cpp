// The verbs against what a single process works out from the same formula, with messages of normal and of forced short pieces.
#include "comm/collectives.hpp"

#include <numeric>

#include <gtest/gtest.h>

namespace silosum {
namespace {

std::uint32_t word(int rank, std::size_t i) {
    return static_cast<std::uint32_t>((i + 1) * 2654435761U + static_cast<unsigned>(rank) * 0x9E3779B9U);
}

// The value is how many elements MPI is given at once.
class Collectives : public testing::TestWithParam<std::size_t> {
protected:
    Collectives() { world.limit_count(GetParam()); }
    Communicator world = Communicator::world();
};

TEST_P(Collectives, BroadcastGivesEveryRankTheVectorOfTheRoot) {
    for (const std::size_t d : {0, 1, 7, 1000, 4097}) {
        for (int root = 0; root < world.size(); ++root) {
            std::vector<std::uint32_t> values(d);
            for (std::size_t i = 0; i < d; ++i) values[i] = word(world.rank(), i);
            broadcast(world, std::span(values), root);
            for (std::size_t i = 0; i < d; ++i) ASSERT_EQ(values[i], word(root, i));
        }
    }
}

TEST_P(Collectives, AllReduceSumWrapsAround) {
    std::vector<std::uint32_t> small(1000);
    std::vector<std::uint64_t> large(1000);
    for (std::size_t i = 0; i < small.size(); ++i) {
        small[i] = ~word(world.rank(), i);
        large[i] = ~std::uint64_t{word(world.rank(), i)};
    }
    all_reduce_sum(world, std::span(small));
    all_reduce_sum(world, std::span(large));
    for (std::size_t i = 0; i < small.size(); ++i) {
        std::uint32_t sum32 = 0;
        std::uint64_t sum64 = 0;
        for (int rank = 0; rank < world.size(); ++rank) {
            sum32 += ~word(rank, i);
            sum64 += ~std::uint64_t{word(rank, i)};
        }
        ASSERT_EQ(small[i], sum32);
        ASSERT_EQ(large[i], sum64);
    }
}

TEST_P(Collectives, LargestAndSmallestOfAllRanks) {
    std::vector<double> values{static_cast<double>(world.rank()), -static_cast<double>(world.rank())};
    std::vector<double> copy = values;
    all_reduce_max(world, std::span(values));
    all_reduce_min(world, std::span(copy));
    EXPECT_EQ(values, (std::vector<double>{world.size() - 1.0, 0.0}));
    EXPECT_EQ(copy, (std::vector<double>{0.0, 1.0 - world.size()}));
}

TEST_P(Collectives, AllGatherOfSlicesGivesEveryRankTheWholeVector) {
    for (const std::size_t d : {0, 1, 3, 7, 1000, 4097, 100003}) {
        const Slices slices(d, world.size());
        std::vector<std::uint32_t> whole(d, 0);
        for (std::size_t i = slices.begin(world.rank()); i < slices.end(world.rank()); ++i) whole[i] = word(0, i);
        all_gather(world, slices, std::span(whole));
        for (std::size_t i = 0; i < d; ++i) ASSERT_EQ(whole[i], word(0, i)) << d;
    }
}

TEST_P(Collectives, TextsOfAnyLengthArriveInOrderOfRank) {
    const auto text_of = [](int rank) { return std::string(static_cast<std::size_t>(rank) * 50, static_cast<char>('a' + rank)); };
    const auto all = all_gather_text(world, text_of(world.rank()));
    const auto at_last = gather_text(world, text_of(world.rank()), world.size() - 1);
    EXPECT_EQ(at_last.size(), world.rank() == world.size() - 1 ? all.size() : 0);
    ASSERT_EQ(all.size(), static_cast<std::size_t>(world.size()));
    for (int rank = 0; rank < world.size(); ++rank) {
        EXPECT_EQ(all[static_cast<std::size_t>(rank)], text_of(rank));
        if (!at_last.empty()) {
            EXPECT_EQ(at_last[static_cast<std::size_t>(rank)], text_of(rank));
        }
    }
    std::string text = text_of(world.rank());
    broadcast_text(world, text, world.size() - 1);
    EXPECT_EQ(text, text_of(world.size() - 1));
}

INSTANTIATE_TEST_SUITE_P(PieceLengths, Collectives, testing::Values(std::size_t{1} << 30, std::size_t{509}),
                         [](const auto& param) { return param.param > 1000 ? "Long" : "Short"; });

TEST(Communicator, DuplicatesDoNotSeeEachOthersMessages) {
    Communicator world = Communicator::world();
    Communicator other = world.duplicate();
    const int next = (world.rank() + 1) % world.size();
    const int previous = (world.rank() + world.size() - 1) % world.size();
    std::uint32_t first = 1, second = 2, got_first = 0, got_second = 0;
    Transfers in_world(world), in_other(other);
    in_world.send(&first, sizeof first, next);
    in_other.send(&second, sizeof second, next);
    in_other.receive(&got_second, sizeof got_second, previous);
    in_world.receive(&got_first, sizeof got_first, previous);
    in_other.wait("the neighbour");
    in_world.wait("the neighbour");
    EXPECT_EQ(got_first, 1U);
    EXPECT_EQ(got_second, 2U);
}

TEST(Communicator, FailedCallsNameThemselvesAndTheirPlace) {
    Communicator world = Communicator::world();
    try {
        int word = 0;
        mpi_check(MPI_Bcast(&word, 1, MPI_INT, world.size() + 5, world.handle()));
        ADD_FAILURE() << "a root that does not exist was accepted";
    } catch (const std::exception& error) {
        EXPECT_NE(std::string(error.what()).find("MPI_Bcast"), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("(collectives_test.cpp:"), std::string::npos) << error.what();
    }
}

TEST(Communicator, SelfTestOfWrappingSumsPasses) {
    Communicator world = Communicator::world();
    EXPECT_NO_THROW(check_wrapping_sums(world));
}

}  // namespace
}  // namespace silosum

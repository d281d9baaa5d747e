// Ranks that share memory: who they are, that they see the same bytes, and that a node without room says so on every rank.
#include "comm/nodes.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <numeric>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "comm/collectives.hpp"

namespace silosum {
namespace {

class NodesOf : public testing::TestWithParam<int> {
protected:
    Communicator world = Communicator::world();
    Nodes nodes{world, GetParam()};
};

TEST_P(NodesOf, TakesRanksInOrder) {
    const int largest = GetParam() == 0 ? world.size() : GetParam();
    EXPECT_EQ(nodes.count(), static_cast<std::size_t>((world.size() + largest - 1) / largest));
    for (int rank = 0; rank < world.size(); ++rank) {
        EXPECT_EQ(nodes.of(rank), static_cast<std::size_t>(rank / largest));
        EXPECT_EQ(nodes.place(rank), static_cast<std::size_t>(rank % largest));
        EXPECT_EQ(nodes.ranks_of(nodes.of(rank))[nodes.place(rank)], rank);
        EXPECT_EQ(nodes.together(rank, 0), rank < largest);
    }
}

TEST_P(NodesOf, SharedMemoryIsZeroedAndSeenByTheNodeOnly) {
    const std::size_t ranks = static_cast<std::size_t>(world.size());
    Buffer<std::uint32_t> values = shared_buffer<std::uint32_t>(world, nodes, ranks);
    EXPECT_THAT(values.span(), testing::Each(0U));
    barrier(world);
    values[static_cast<std::size_t>(world.rank())] = static_cast<std::uint32_t>(world.rank() + 1);
    barrier(world);
    for (int rank = 0; rank < world.size(); ++rank) {
        const bool seen = nodes.together(rank, world.rank());
        EXPECT_EQ(values[static_cast<std::size_t>(rank)], seen ? static_cast<std::uint32_t>(rank + 1) : 0U);
    }
}

TEST_P(NodesOf, MemoryOfManyPagesIsZeroAndBeginsAtAHugeOne) {
    for (const std::size_t bytes : {huge_page - 1, huge_page, 2 * huge_page + 1, 9 * huge_page + 4097}) {
        const auto memory = shared_memory(world, nodes, bytes);
        EXPECT_TRUE(std::all_of(memory.get(), memory.get() + bytes, [](std::byte b) { return b == std::byte{0}; })) << bytes;
        EXPECT_TRUE(bytes < huge_page || reinterpret_cast<std::uintptr_t>(memory.get()) % huge_page == 0) << bytes;
        barrier(world);
        const auto ranks = static_cast<std::size_t>(world.size());
        for (std::size_t at = static_cast<std::size_t>(world.rank()); at < bytes; at += 1021 * ranks) memory.get()[at] = std::byte{1};
        memory.get()[bytes - 1] = std::byte{2};
        barrier(world);
        for (int rank = 0; rank < world.size(); ++rank) {
            const std::byte seen = memory.get()[static_cast<std::size_t>(rank) + 1021 * ranks * 3];
            EXPECT_EQ(seen, nodes.together(rank, world.rank()) ? std::byte{1} : std::byte{0}) << bytes;
        }
        EXPECT_EQ(memory.get()[bytes - 1], std::byte{2});
        barrier(world);
    }
}

// Whether the system gives them is its affair: it is asked for one.
bool has_huge_pages_for_the_asking() {
    const std::string name = "/silosum-test-" + std::to_string(::getpid());
    const int file = ::shm_open(name.c_str(), O_RDWR | O_CREAT, 0600);
    ::shm_unlink(name.c_str());
    void* const room = ::mmap(nullptr, 2 * huge_page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::byte* const begin = static_cast<std::byte*>(room) + (huge_page - reinterpret_cast<std::uintptr_t>(room) % huge_page) % huge_page;
    const bool is_there = ::ftruncate(file, huge_page) == 0 && ::posix_fallocate(file, 0, 1) == 0 &&
                          ::mmap(begin, huge_page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == begin;
    const bool has = is_there && ::madvise(begin, huge_page, 25) == 0;  // MADV_COLLAPSE
    ::munmap(room, 2 * huge_page);
    ::close(file);
    return has;
}

std::size_t shared_huge_bytes() {
    std::ifstream smaps("/proc/self/smaps_rollup");
    for (std::string line; std::getline(smaps, line);) {
        if (line.starts_with("ShmemPmdMapped:")) return std::stoull(line.substr(15)) * 1024;
    }
    return 0;
}

TEST_P(NodesOf, MemoryIsTakenInHugePagesWhereTheSystemHasThem) {
    if (!has_huge_pages_for_the_asking()) GTEST_SKIP() << "no huge pages in shared memory here";
    const std::size_t before = shared_huge_bytes();
    const auto memory = shared_memory(world, nodes, 8 * huge_page + 5);
    for (std::size_t at = 0; at < 8 * huge_page; at += 4096) memory.get()[at] = std::byte{1};
    EXPECT_GE(shared_huge_bytes() - before, 8 * huge_page);
    barrier(world);
}

TEST_P(NodesOf, SlicesReachEveryNode) {
    for (const std::size_t d : {1, 7, 1000, 4097}) {
        const Slices slices(d, world.size());
        Buffer<std::uint32_t> whole = shared_buffer<std::uint32_t>(world, nodes, d);
        const std::size_t begin = slices.begin(world.rank());
        std::iota(whole.begin() + begin, whole.begin() + slices.end(world.rank()), static_cast<std::uint32_t>(begin));
        all_gather_shared(world, nodes, slices, sizeof(std::uint32_t), std::as_writable_bytes(whole.span()).data());
        for (std::size_t i = 0; i < d; ++i) ASSERT_EQ(whole[i], i);
    }
}

TEST_P(NodesOf, BroadcastReachesEveryNode) {
    Buffer<std::uint32_t> whole = shared_buffer<std::uint32_t>(world, nodes, 1000);
    if (world.rank() == 0) std::iota(whole.begin(), whole.end(), 5U);
    broadcast_shared(world, nodes, std::as_writable_bytes(whole.span()));
    for (std::size_t i = 0; i < whole.size(); ++i) ASSERT_EQ(whole[i], i + 5);
}

TEST_P(NodesOf, WithoutRoomEveryRankSaysSo) {
    try {
        (void)shared_memory(world, nodes, std::size_t{1} << 50);
        ADD_FAILURE() << "a pebibyte was given";
    } catch (const AgreedError& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("cannot share 1048576.00 GiB of memory (/dev/shm): "));
    }
}

INSTANTIATE_TEST_SUITE_P(RanksANode, NodesOf, testing::Values(0, 1, 2, 3));

TEST(Nodes, ApartNobodySharesMemory) {
    Communicator world = Communicator::world();
    const Nodes nodes = Nodes::apart(world);
    EXPECT_EQ(nodes.count(), static_cast<std::size_t>(world.size()));
    for (int rank = 0; rank < world.size(); ++rank) EXPECT_EQ(nodes.together(rank, world.rank()), rank == world.rank());
}

TEST(Nodes, SharedMemoryLeavesNoNameBehind) {
    Communicator world = Communicator::world();
    const Nodes nodes(world);
    const auto memory = shared_memory(world, nodes, 4096);
    barrier(world);  // the name goes when the rank that made it leaves shared_memory
    const std::string mine = "silosum-" + std::to_string(::getpid()) + "-";
    for (const auto& entry : std::filesystem::directory_iterator("/dev/shm"))
        EXPECT_FALSE(entry.path().filename().string().starts_with(mine)) << entry.path();
}

}  // namespace
}  // namespace silosum

// The verbs of comm/nccl.hpp between ranks with an emulated GPU each, over the double of NCCL; and what it does where NCCL fails.
#include "comm/nccl.hpp"

#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "comm/collectives.hpp"
#include "exchange/device_ring_sum.hpp"
#include "nccl_double.hpp"
#include "support/test_stream.hpp"

namespace silosum {
namespace {

using nccl_double::Fault;
using testing::HasSubstr;

class NcclTest : public testing::Test {
protected:
    ~NcclTest() override { nccl_double::set_fault(Fault::none); }

    template <class T>
    [[nodiscard]] Buffer<T> on_gpu(const std::vector<T>& values) const {
        Buffer<T> here = stream.allocate<T>(values.size());
        stream.upload(std::span<const T>(values), here.span());
        stream.wait();
        return here;
    }
    template <class T>
    [[nodiscard]] std::vector<T> on_host(const Buffer<T>& here) const {
        std::vector<T> values(here.size());
        stream.download(here.span(), std::span(values));
        stream.wait();
        return values;
    }
    // What a rank gives.
    template <class T>
    [[nodiscard]] static std::vector<T> words(int rank, std::size_t n) {
        std::vector<T> values(n);
        for (std::size_t i = 0; i < n; ++i) values[i] = ~T{0} - static_cast<T>(i * 31 + static_cast<std::size_t>(rank) * 977);
        return values;
    }
    template <class T>
    [[nodiscard]] std::vector<T> sum_over_ranks(std::size_t n) const {
        std::vector<T> sum(n, 0);
        for (int rank = 0; rank < world.size(); ++rank) {
            const auto of_rank = words<T>(rank, n);
            for (std::size_t i = 0; i < n; ++i) sum[i] += of_rank[i];
        }
        return sum;
    }
    // The error that joining throws, the same on all ranks.
    [[nodiscard]] std::string why_not() {
        try {
            const Nccl nccl(world, stream.cuda());
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    }

    Communicator world = Communicator::world();
    const Stream& stream = test::stream();
    std::size_t ranks = static_cast<std::size_t>(world.size());
    std::size_t me = static_cast<std::size_t>(world.rank());
};

TEST_F(NcclTest, SumsWrapAround) {
    Nccl nccl(world, stream.cuda());
    Buffer<std::uint32_t> narrow = on_gpu(words<std::uint32_t>(world.rank(), 1000));
    Buffer<std::uint64_t> wide = on_gpu(words<std::uint64_t>(world.rank(), 77));
    nccl.all_reduce_sum(narrow.span());
    nccl.all_reduce_sum(wide.span());
    nccl.wait("sums");
    EXPECT_EQ(on_host(narrow), sum_over_ranks<std::uint32_t>(1000));
    EXPECT_EQ(on_host(wide), sum_over_ranks<std::uint64_t>(77));
}

// Floats of small integers have exact sums.
TEST_F(NcclTest, SumsOfFloatsLeaveWhatIsGiven) {
    Nccl nccl(world, stream.cuda());
    std::vector<float> given(1001), expected(1001);
    std::iota(given.begin(), given.end(), static_cast<float>(me) - 500.0F);
    const auto n = static_cast<float>(ranks);
    for (std::size_t i = 0; i < given.size(); ++i) expected[i] = n * (static_cast<float>(i) - 500.0F) + n * (n - 1) / 2;
    const Buffer<float> own = on_gpu(given);
    Buffer<float> sum = stream.allocate<float>(given.size());
    nccl.all_reduce_sum(own.span(), sum.span());
    nccl.wait("sums");
    EXPECT_EQ(on_host(sum), expected);
    EXPECT_EQ(on_host(own), given);
}

TEST_F(NcclTest, ReduceScatterGivesEachRankItsRow) {
    Nccl nccl(world, stream.cuda());
    const auto expect_row = [&](auto word) {
        using Word = decltype(word);
        const std::size_t n = 513;
        const Buffer<Word> all = on_gpu(words<Word>(world.rank(), ranks * n));
        Buffer<Word> own = stream.allocate<Word>(n);
        nccl.reduce_scatter_sum(all.span(), own.span());
        nccl.wait("sums");
        const auto sum = sum_over_ranks<Word>(ranks * n);
        const auto begin = sum.begin() + static_cast<std::ptrdiff_t>(me * n);
        EXPECT_EQ(on_host(own), std::vector<Word>(begin, begin + static_cast<std::ptrdiff_t>(n)));
    };
    expect_row(std::uint32_t{});
    expect_row(std::uint64_t{});
}

TEST_F(NcclTest, BytesOfRanksArriveInOrder) {
    Nccl nccl(world, stream.cuda());
    const std::vector<std::byte> mine(5, static_cast<std::byte>(me + 1));
    const Buffer<std::byte> own = on_gpu(mine);
    Buffer<std::byte> all = stream.allocate<std::byte>(5 * ranks);
    nccl.all_gather(own.span(), all.span());
    Buffer<std::byte> of_last = on_gpu(mine);
    nccl.broadcast(of_last.span(), world.size() - 1);
    std::vector<std::byte> letters(ranks);  // one for each rank, with who sends and who gets it
    for (std::size_t to = 0; to < ranks; ++to) letters[to] = static_cast<std::byte>(16 * me + to);
    const Buffer<std::byte> out = on_gpu(letters);
    Buffer<std::byte> in = stream.allocate<std::byte>(ranks);
    nccl.all_to_all(out.span(), in.span());
    nccl.barrier();
    const auto gathered = on_host(all);
    const auto got = on_host(in);
    for (std::size_t from = 0; from < ranks; ++from) {
        for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(gathered[5 * from + i], static_cast<std::byte>(from + 1));
        EXPECT_EQ(got[from], static_cast<std::byte>(16 * from + me));
    }
    EXPECT_EQ(on_host(of_last), std::vector<std::byte>(5, static_cast<std::byte>(ranks)));
}

TEST_F(NcclTest, ShapesThatDoNotFitAreRefused) {
    Nccl nccl(world, stream.cuda());
    const Buffer<std::uint32_t> all = stream.allocate<std::uint32_t>(ranks * 4 + 1);
    Buffer<std::uint32_t> own = stream.allocate<std::uint32_t>(4);
    EXPECT_THROW(nccl.reduce_scatter_sum(all.span(), own.span()), RuntimeError);
    const Buffer<float> values = stream.allocate<float>(4);
    Buffer<float> sum = stream.allocate<float>(5);
    EXPECT_THROW(nccl.all_reduce_sum(values.span(), sum.span()), RuntimeError);
}

TEST_F(NcclTest, NothingIsLeftBehind) {
    { const Nccl nccl(world, stream.cuda()); }
    EXPECT_EQ(nccl_double::living(), 0);
}

TEST_F(NcclTest, ARankWithoutIdIsToldToAll) {
    if (world.rank() == 0) nccl_double::set_fault(Fault::no_id);
    EXPECT_THAT(why_not(), HasSubstr("no CUDA-capable device"));
    EXPECT_EQ(nccl_double::living(), 0);
}

TEST_F(NcclTest, ARankWithoutMemoryIsToldToAll) {
    const auto fill_memory = [&] {
        if (world.rank() == world.size() - 1) emulator::set_device_memory(emulator::allocated_bytes());
    };
    const auto free_memory = [] { emulator::set_device_memory(std::size_t{4} << 30); };
    fill_memory();
    EXPECT_THAT(why_not(), HasSubstr("has no room"));  // before anything waits for anybody
    free_memory();
    const RankGroups groups(world, 1);
    {
        GpuRanks gpus(world, groups, stream);
        fill_memory();
        const Slices slices(1000, world.size());
        EXPECT_THROW((void)make_device_ring_sum(32, world, gpus, slices, 1024, true), AgreedError);
    }
    free_memory();
    EXPECT_EQ(nccl_double::living(), 0);
}

TEST_F(NcclTest, SlicesOfAnyLengthArriveEverywhere) {
    Nccl nccl(world, stream.cuda());
    for (const std::size_t length : {0U, 5U, 100U, 1000U}) {
        const Slices slices(length, world.size());
        std::vector<float> expected(length), own(length, -1.0F);
        std::iota(expected.begin(), expected.end(), 0.5F);
        const auto begin = static_cast<std::ptrdiff_t>(slices.begin(world.rank()));
        std::copy_n(expected.begin() + begin, slices.size(world.rank()), own.begin() + begin);
        Buffer<float> whole = on_gpu(own);
        nccl.all_gather(slices, sizeof(float), std::as_writable_bytes(whole.span()));
        nccl.wait("slices");
        EXPECT_EQ(on_host(whole), expected);
    }
}

// An end by an exception does not wait for ranks that may not come.
TEST_F(NcclTest, AnExceptionAbortsInsteadOfMeeting) {
    const int aborted = nccl_double::aborted();
    try {
        const Nccl nccl(world, stream.cuda());
        throw RuntimeError("of something else");
    } catch (const RuntimeError&) {
        EXPECT_EQ(nccl_double::aborted(), aborted + 1);
    }
    EXPECT_EQ(nccl_double::living(), 0);
}

TEST_F(NcclTest, JoiningEndsAtTheDeadline) {
    nccl_double::set_fault(Fault::joins_never);
    world.set_deadline(0.2);
    EXPECT_THAT(why_not(), HasSubstr("the ranks to join NCCL"));
    EXPECT_EQ(nccl_double::living(), 0);
}

TEST_F(NcclTest, WorkThatFailsIsAbortedAndTold) {
    Nccl nccl(world, stream.cuda());
    const int aborted = nccl_double::aborted();
    Buffer<std::uint32_t> values = stream.allocate<std::uint32_t>(8);
    nccl_double::set_fault(Fault::breaks_later);
    nccl.all_reduce_sum(values.span());
    try {
        nccl.wait("the sum of words");
        ADD_FAILURE() << "nothing was thrown";
    } catch (const RuntimeError& error) {
        EXPECT_THAT(error.what(), HasSubstr("network error"));
        EXPECT_THAT(error.what(), HasSubstr("the sum of words"));
    }
    EXPECT_EQ(nccl_double::aborted(), aborted + 1);
    EXPECT_THROW(nccl.wait("more"), RuntimeError);
}

}  // namespace
}  // namespace silosum

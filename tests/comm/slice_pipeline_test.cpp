// The pipeline must hand every owner all words of its slice, once, whichever ranks share memory and however long chunks and messages are.
#include "comm/slice_pipeline.hpp"

#include <array>

#include <gtest/gtest.h>

#include "comm/collectives.hpp"

namespace {

std::uint64_t bytes_sent = 0;    // by messages of this rank
std::uint64_t signals_sent = 0;  // messages without content

}  // namespace

// MPI lets a program look at every call.
extern "C" int MPI_Isend(const void* data, int count, MPI_Datatype type, int to, int tag, MPI_Comm communicator, MPI_Request* request) {
    bytes_sent += static_cast<std::uint64_t>(count);
    signals_sent += count == 0 ? 1 : 0;
    return PMPI_Isend(data, count, type, to, tag, communicator, request);
}

namespace silosum {
namespace {

// Ranks a node: -1 for messages only, below it the ranks of a node are not side by side.
class SlicePipelineTest : public testing::TestWithParam<int> {
protected:
    static Nodes nodes_of(const Communicator& world, int ranks_a_node) {
        if (ranks_a_node == -1) return Nodes::apart(world);
        if (ranks_a_node >= 0) return Nodes(world, ranks_a_node);
        std::vector<int> even_first;
        for (int rank = 0; rank < world.size(); rank += 2) even_first.push_back(rank);
        for (int rank = 1; rank < world.size(); rank += 2) even_first.push_back(rank);
        return Nodes(world, -ranks_a_node).among(even_first);
    }
    std::uint64_t sum_over_ranks(std::uint64_t value) const {
        all_reduce_sum(world, std::span<std::uint64_t>(&value, 1));
        return value;
    }
    std::vector<bool> all() const { return std::vector<bool>(static_cast<std::size_t>(world.size()), true); }
    static std::uint32_t word(int rank, std::size_t run, std::size_t i) {
        return static_cast<std::uint32_t>((i + 1 + 7 * run) * 2654435761U + static_cast<unsigned>(rank) * 0x9E3779B9U);
    }
    Communicator world = Communicator::world();
    Nodes nodes = nodes_of(world, GetParam());
    static constexpr std::size_t extra = 3;  // here the words of the coordinates behind

    void expect_sums(SlicePipeline<std::uint32_t>& pipeline, const Slices& slices, const std::vector<bool>& gives, std::size_t run,
                     bool in_place) {
        std::vector<std::uint32_t> words(slices.coordinates() + extra);
        for (std::size_t i = 0; i < words.size(); ++i) words[i] = word(world.rank(), run, i);
        std::vector<std::uint32_t> sum(slices.coordinates(), 0);
        const auto expected = [&](std::size_t i) {
            std::uint32_t words_of_all = 0;
            for (int rank = 0; rank < world.size(); ++rank)
                if (gives[static_cast<std::size_t>(rank)]) words_of_all += word(rank, run, i);
            return words_of_all;
        };
        std::size_t seen = slices.begin(world.rank());
        pipeline.run(
            gives,
            [&](std::size_t begin, std::size_t n, std::uint32_t* scratch) -> const std::uint32_t* {
                if (in_place) return words.data() + begin;
                std::copy_n(words.data() + begin, n + extra, scratch);
                return scratch;
            },
            [&](std::size_t begin, std::size_t n, std::span<const std::uint32_t* const> parts) {
                EXPECT_EQ(begin, seen) << "chunks come in order";
                seen = begin + n;
                std::array<std::uint32_t, extra> behind{};
                for (const auto* part : parts) {
                    for (std::size_t i = 0; i < n; ++i) sum[begin + i] += part[i];
                    for (std::size_t i = 0; i < extra; ++i) behind[i] += part[n + i];
                }
                for (std::size_t i = 0; i < extra; ++i) EXPECT_EQ(behind[i], expected(begin + n + i));
            });
        EXPECT_EQ(seen, slices.end(world.rank()));
        for (std::size_t i = slices.begin(world.rank()); i < slices.end(world.rank()); ++i) {
            ASSERT_EQ(sum[i], expected(i)) << "coordinate " << i << ", run " << run;
        }
    }
};

TEST_P(SlicePipelineTest, OwnersSeeAllWordsOfTheirSlice) {
    for (const std::size_t largest_count : {std::size_t{1} << 30, std::size_t{509}}) {
        world.limit_count(largest_count);
        for (const std::size_t step_bytes : {64, 4096, 1 << 20}) {
            for (const std::size_t d : {0, 1, 17, 1000, 30001}) {
                const Slices slices(d, world.size());
                SlicePipeline<std::uint32_t> pipeline(world, nodes, slices, step_bytes, extra);
                for (std::size_t run = 0; run < 4; ++run) {
                    std::vector<bool> gives;  // in the last run one rank alone: others forward nothing, or only its words
                    for (int rank = 0; rank < world.size(); ++rank) {
                        gives.push_back(run == 3 ? rank == 0 : run == 0 || (rank + static_cast<int>(run)) % 3 != 0);
                    }
                    SCOPED_TRACE("d = " + std::to_string(d) + ", steps of " + std::to_string(step_bytes));
                    expect_sums(pipeline, slices, gives, run, run == 1);
                }
            }
        }
    }
}

// As many words cross as if every node were one rank.
TEST_P(SlicePipelineTest, IntegersCrossToAnotherNodeOnce) {
    const Slices slices(10007, world.size());
    SlicePipeline<std::uint32_t> pipeline(world, nodes, slices, 4096);
    bytes_sent = 0;
    const std::size_t counted = pipeline.run(
        all(), [](std::size_t, std::size_t, std::uint32_t* scratch) { return scratch; },
        [&](std::size_t, std::size_t, std::span<const std::uint32_t* const> parts) {
            EXPECT_EQ(parts.size(), nodes.ranks_of(nodes.of(world.rank())).size() + nodes.count() - 1);
        });
    const std::uint64_t own_bytes = bytes_sent;
    const std::size_t words = slices.coordinates() * sizeof(std::uint32_t);
    EXPECT_EQ(sum_over_ranks(own_bytes), (nodes.count() - 1) * words);
    // Inside a node each rank leaves the words for all owners but those that it keeps or forwards, which all of the node do once.
    EXPECT_EQ(sum_over_ranks(counted), (static_cast<std::size_t>(world.size()) - 1) * words);
    const std::size_t of_node = nodes.ranks_of(nodes.of(world.rank())).size();
    if (nodes.count() > 1 && world.size() == static_cast<int>(nodes.count() * of_node)) {
        EXPECT_GE(own_bytes, (nodes.count() - 1) * words / of_node / nodes.count() / 2) << "every rank of a node forwards its share";
    }
}

TEST_P(SlicePipelineTest, RanksOfANodeTellEachOtherOnceAStep) {
    const std::size_t steps = 5;
    const std::size_t ranks = static_cast<std::size_t>(world.size());
    const Slices slices(steps * ranks * Slices::block, world.size());
    SlicePipeline<std::uint32_t> pipeline(world, nodes, slices, 1);
    signals_sent = 0;
    pipeline.run(
        all(), [](std::size_t, std::size_t, std::uint32_t* scratch) { return scratch; },
        [](std::size_t, std::size_t, std::span<const std::uint32_t* const>) {});
    EXPECT_EQ(signals_sent, 2 * steps * (nodes.ranks_of(nodes.of(world.rank())).size() - 1)) << "ready and taken";
}

TEST_P(SlicePipelineTest, FloatsComeAsOnePartARankInOrder) {
    const Slices slices(10007, world.size());
    SlicePipeline<float> pipeline(world, nodes, slices, 4096);
    const auto value = [](int rank, std::size_t i) { return static_cast<float>(rank) + static_cast<float>(i) / 32768; };
    std::vector<float> values(slices.coordinates());
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = value(world.rank(), i);
    pipeline.run(
        all(), [&](std::size_t begin, std::size_t, float*) -> const float* { return values.data() + begin; },
        [&](std::size_t begin, std::size_t n, std::span<const float* const> parts) {
            EXPECT_EQ(parts.size(), static_cast<std::size_t>(world.size()));
            int rank = world.rank();
            for (const float* const part : parts) {
                for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(part[i], value(rank, begin + i));
                rank = (rank + world.size() - 1) % world.size();
            }
        });
}

INSTANTIATE_TEST_SUITE_P(RanksANode, SlicePipelineTest, testing::Values(-1, 0, 1, 2, 3, -3), [](const auto& param) {
    if (param.param < -1) return "Interleaved" + std::to_string(-param.param);
    return param.param < 0 ? "Messages" : "Shared" + std::to_string(param.param);
});

}  // namespace
}  // namespace silosum

// The pipeline must hand every owner all words of its slice, once, whichever ranks share memory and however long chunks and messages are.
#include "comm/slice_pipeline.hpp"

#include <gtest/gtest.h>

#include "comm/collectives.hpp"

namespace silosum {
namespace {

// Ranks a node: -1 for messages only.
class SlicePipelineTest : public testing::TestWithParam<int> {
protected:
    static std::uint32_t word(int rank, std::size_t run, std::size_t i) {
        return static_cast<std::uint32_t>((i + 1 + 7 * run) * 2654435761U + static_cast<unsigned>(rank) * 0x9E3779B9U);
    }
    Communicator world = Communicator::world();
    Nodes nodes = GetParam() < 0 ? Nodes::apart(world) : Nodes(world, GetParam());

    void expect_sums(SlicePipeline<std::uint32_t>& pipeline, const Slices& slices, const std::vector<bool>& gives, std::size_t run,
                     bool in_place) {
        std::vector<std::uint32_t> words(slices.coordinates());
        for (std::size_t i = 0; i < words.size(); ++i) words[i] = word(world.rank(), run, i);
        std::vector<std::uint32_t> sum(slices.coordinates(), 0);
        std::size_t seen = slices.begin(world.rank());
        pipeline.run(
            gives,
            [&](std::size_t begin, std::size_t n, std::uint32_t* scratch) -> const std::uint32_t* {
                if (in_place) return words.data() + begin;
                std::copy_n(words.data() + begin, n, scratch);
                return scratch;
            },
            [&](std::size_t begin, std::size_t n, std::span<const std::uint32_t* const> parts) {
                EXPECT_EQ(begin, seen) << "chunks come in order";
                seen = begin + n;
                for (const auto* part : parts) {
                    for (std::size_t i = 0; i < n; ++i) sum[begin + i] += part[i];
                }
            });
        EXPECT_EQ(seen, slices.end(world.rank()));
        for (std::size_t i = slices.begin(world.rank()); i < slices.end(world.rank()); ++i) {
            std::uint32_t expected = 0;
            for (int rank = 0; rank < world.size(); ++rank)
                if (gives[static_cast<std::size_t>(rank)]) expected += word(rank, run, i);
            ASSERT_EQ(sum[i], expected) << "coordinate " << i << ", run " << run;
        }
    }
};

TEST_P(SlicePipelineTest, OwnersSeeAllWordsOfTheirSlice) {
    for (const std::size_t largest_count : {std::size_t{1} << 30, std::size_t{509}}) {
        world.limit_count(largest_count);
        for (const std::size_t step_bytes : {64, 4096, 1 << 20}) {
            for (const std::size_t d : {0, 1, 17, 1000, 30001}) {
                const Slices slices(d, world.size());
                SlicePipeline<std::uint32_t> pipeline(world, nodes, slices, step_bytes);
                for (std::size_t run = 0; run < 3; ++run) {
                    std::vector<bool> gives;
                    for (int rank = 0; rank < world.size(); ++rank) gives.push_back(run == 0 || (rank + static_cast<int>(run)) % 3 != 0);
                    SCOPED_TRACE("d = " + std::to_string(d) + ", steps of " + std::to_string(step_bytes));
                    expect_sums(pipeline, slices, gives, run, run == 1);
                }
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(RanksANode, SlicePipelineTest, testing::Values(-1, 0, 1, 2, 3),
                         [](const auto& param) { return param.param < 0 ? "Messages" : "Shared" + std::to_string(param.param); });

}  // namespace
}  // namespace silosum

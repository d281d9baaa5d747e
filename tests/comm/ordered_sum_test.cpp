// Floats are added in the order of the ranks, whichever of them share memory and however long chunks are: a plain loop gives the bits.
#include "comm/ordered_sum.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace silosum {
namespace {

// Of sizes so far apart that any other order rounds otherwise somewhere.
std::vector<float> values_of(int rank, std::size_t size, std::uint32_t run) {
    const Random random(3, Purpose::split, static_cast<std::uint32_t>(rank), run);
    std::vector<float> values(size);
    for (std::size_t i = 0; i < size; ++i) {
        values[i] = std::ldexp(static_cast<float>(2 * random.uniform(2 * i) - 1), static_cast<int>(random.below(2 * i + 1, 30)));
    }
    return values;
}

TEST(OrderedSum, HasTheBitsOfALoopOverTheRanks) {
    const Communicator world = Communicator::world();
    for (const int ranks_per_node : {-1, 0, 2, 3}) {
        const Nodes nodes = ranks_per_node < 0 ? Nodes::apart(world) : Nodes(world, ranks_per_node);
        for (const std::size_t size : {0, 1, 16, 17, 1000, 30001}) {
            for (const std::size_t step_bytes : {64, 4096, 1 << 20}) {
                OrderedSum sum(world, nodes, size, step_bytes);
                for (std::uint32_t run = 0; run < 3; ++run) {
                    std::vector<float> values = values_of(world.rank(), size, run);
                    sum.add_up(values);
                    std::vector<float> expected = values_of(0, size, run);
                    for (int rank = 1; rank < world.size(); ++rank) {
                        const auto more = values_of(rank, size, run);
                        for (std::size_t i = 0; i < size; ++i) expected[i] += more[i];
                    }
                    ASSERT_EQ(values, expected) << size << " floats, " << ranks_per_node << " ranks a node, run " << run;
                }
            }
        }
    }
}

TEST(OrderedSum, CountsWhatOthersHaveFromARank) {
    const Communicator world = Communicator::world();
    const auto ranks = static_cast<std::size_t>(world.size());
    const std::size_t size = 16 * ranks;
    for (const Nodes& nodes : {Nodes::apart(world), Nodes(world)}) {
        OrderedSum sum(world, nodes, size, 1 << 20);
        std::vector<float> values(size, 1.0F);
        EXPECT_EQ(sum.add_up(values), 2 * (ranks - 1) * 16 * sizeof(float));
    }
}

}  // namespace
}  // namespace silosum

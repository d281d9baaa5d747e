// Groups are of neighbouring ranks, every rank has one position in one of them, and positions of all groups find each other.
#include "comm/rank_groups.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "comm/collectives.hpp"
#include "comm/nodes.hpp"

namespace silosum {
namespace {

TEST(RankGroups, AreOfNeighbours) {
    const Communicator world = Communicator::world();
    for (int each = 1; each <= world.size(); ++each) {
        if (world.size() % each != 0) {
            EXPECT_THROW(RankGroups(world, each), UsageError);
            continue;
        }
        const RankGroups ranks(world, each);
        EXPECT_EQ(ranks.each(), each);
        EXPECT_EQ(ranks.count(), world.size() / each);
        EXPECT_EQ(ranks.rank_of(ranks.group(), ranks.position()), world.rank());
        EXPECT_EQ(ranks.is_first(), world.rank() % each == 0);
        const auto own = all_gather(ranks.own(), world.rank());
        for (int position = 0; position < each; ++position) EXPECT_EQ(own[position], ranks.rank_of(ranks.group(), position));
        const auto peers = all_gather(ranks.peers(), world.rank());
        for (int group = 0; group < ranks.count(); ++group) EXPECT_EQ(peers[group], ranks.rank_of(group, ranks.position()));
    }
}

TEST(RankGroups, SeeTheNodesOfAll) {
    const Communicator world = Communicator::world();
    for (const int ranks_per_node : {1, 2, 3}) {
        const Nodes nodes(world, ranks_per_node);
        std::vector<int> some;
        for (int rank = world.size() - 1; rank >= 0; rank -= 2) some.push_back(rank);
        const Nodes among = nodes.among(some);
        for (std::size_t i = 0; i < some.size(); ++i) {
            for (std::size_t j = 0; j < some.size(); ++j) {
                EXPECT_EQ(among.together(static_cast<int>(i), static_cast<int>(j)), nodes.together(some[i], some[j]));
            }
        }
    }
}

}  // namespace
}  // namespace silosum

// Slices must cut every vector into one contiguous, ordered, even cover, whatever the length and the number of ranks.
#include "comm/slices.hpp"

#include <gtest/gtest.h>

namespace silosum {
namespace {

TEST(Slices, CoverEveryCoordinateOnceInOrder) {
    for (const std::size_t d : {0, 1, 3, 7, 15, 16, 17, 1000, 4097, 100003}) {
        for (const int ranks : {1, 2, 3, 4, 7, 8, 64}) {
            const Slices slices(d, ranks);
            std::size_t next = 0;
            for (int rank = 0; rank < ranks; ++rank) {
                ASSERT_EQ(slices.begin(rank), next) << d << " over " << ranks;
                ASSERT_LE(slices.begin(rank), slices.end(rank));
                next = slices.end(rank);
            }
            EXPECT_EQ(next, d) << "over " << ranks;
        }
    }
}

TEST(Slices, AreEvenUpToOneBlockAndBeginAtCacheLines) {
    for (const std::size_t d : {1000, 4097, 100003, 1663370}) {
        for (const int ranks : {2, 3, 8}) {
            const Slices slices(d, ranks);
            for (int rank = 0; rank < ranks; ++rank) {
                EXPECT_LE(slices.size(rank), slices.largest());
                EXPECT_LT(slices.largest() - slices.size(rank), 2 * Slices::block);
                EXPECT_EQ(slices.begin(rank) % Slices::block, 0U);
            }
        }
    }
}

TEST(Slices, OfAPositionLieSideBySideInTheOrderOfTheGroups) {
    for (const std::size_t d : {0, 1, 17, 1000, 100003}) {
        for (const int each : {1, 2, 3, 8}) {
            for (const int groups : {1, 2, 5}) {
                const Slices slices(d, groups * each, each);
                std::size_t next = 0;
                for (int position = 0; position < each; ++position) {
                    const Slices part = slices.of_position(position);
                    EXPECT_EQ(part.ranks(), groups);
                    EXPECT_EQ(part.coordinates(), d);
                    EXPECT_EQ(part.first(), next);
                    for (int group = 0; group < groups; ++group) {
                        const int rank = group * each + position;
                        ASSERT_EQ(slices.begin(rank), next) << "rank " << rank << " of " << groups * each;
                        next = slices.end(rank);
                        EXPECT_EQ(part.begin(group), slices.begin(rank));
                        EXPECT_EQ(part.end(group), next);
                        EXPECT_LE(part.size(group), part.largest());
                        EXPECT_LE(part.largest(), slices.largest());
                    }
                    EXPECT_EQ(part.last(), next);
                }
                EXPECT_EQ(next, d);
            }
        }
    }
}

TEST(Slices, OfShortVectorsLeaveRanksWithoutAny) {
    const Slices slices(7, 4);
    EXPECT_EQ(slices.size(0), 7U);
    EXPECT_EQ(slices.size(1), 0U);
    EXPECT_EQ(slices.size(3), 0U);
}

}  // namespace
}  // namespace silosum

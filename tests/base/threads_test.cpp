// Loops cut over threads: every index once, whatever the number of threads, and the same parts of work for the same bits.
#include "base/threads.hpp"

#include <atomic>
#include <vector>

#include <gtest/gtest.h>

namespace silosum {
namespace {

TEST(Threads, VisitEveryIndexExactlyOnce) {
    for (const std::size_t count : {1, 2, 3, 8}) {
        const Threads threads(count);
        EXPECT_EQ(threads.count(), count);
        for (const std::size_t n : {0, 1, 2, 7, 64, 1001}) {
            for (const std::size_t grain : {0, 1, 3, 64, 5000}) {
                std::vector<int> visits(n);
                threads.for_ranges(n, grain, [&](std::size_t begin, std::size_t end) {
                    for (std::size_t i = begin; i < end; ++i) ++visits[i];
                });
                EXPECT_EQ(visits, std::vector<int>(n, 1)) << count << " threads, n " << n << ", grain " << grain;
            }
        }
    }
}

TEST(Threads, CutOnlyAtMultiplesOfTheGrain) {
    const Threads threads(4);
    const std::size_t n = 1003;
    const std::size_t grain = 10;
    std::atomic<int> wrong{0};
    std::atomic<int> parts{0};
    threads.for_ranges(n, grain, [&](std::size_t begin, std::size_t end) {
        ++parts;
        if (begin % grain != 0 || (end != n && end % grain != 0)) ++wrong;
    });
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(parts, 4);
}

TEST(Threads, ALoopBelowItsGrainStaysOnTheCaller) {
    const Threads threads(4);
    int parts = 0;  // not atomic on purpose: only the caller may write it
    threads.for_ranges(100, 100, [&](std::size_t begin, std::size_t end) {
        ++parts;
        EXPECT_EQ(begin, 0U);
        EXPECT_EQ(end, 100U);
    });
    EXPECT_EQ(parts, 1);
}

TEST(Threads, AreReadyForTheNextLoopAsSoonAsOneReturns) {
    const Threads threads(3);
    std::vector<long> sums(300);
    for (int repeat = 0; repeat < 2000; ++repeat) {
        threads.for_ranges(sums.size(), 1, [&](std::size_t begin, std::size_t end) {
            for (std::size_t i = begin; i < end; ++i) sums[i] += static_cast<long>(i);
        });
    }
    for (std::size_t i = 0; i < sums.size(); ++i) ASSERT_EQ(sums[i], 2000 * static_cast<long>(i));
}

TEST(Threads, NoneCountsAsOne) {
    EXPECT_EQ(Threads(0).count(), 1U);
}

TEST(Threads, EndWithoutEverHavingWorked) {
    for (int i = 0; i < 50; ++i) const Threads threads(4);
}

}  // namespace
}  // namespace silosum

#include "data/batch_order.hpp"

#include <algorithm>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace silosum {
namespace {

using Batches = std::vector<std::vector<std::uint32_t>>;

Batches all_of(BatchOrder order) {
    Batches batches;
    for (auto batch = order.next(); !batch.empty(); batch = order.next()) batches.emplace_back(batch.begin(), batch.end());
    return batches;
}

std::vector<std::uint32_t> rows_in(const Batches& batches, std::size_t first, std::size_t count) {
    std::vector<std::uint32_t> rows;
    for (std::size_t i = first; i < first + count; ++i) rows.insert(rows.end(), batches[i].begin(), batches[i].end());
    std::sort(rows.begin(), rows.end());
    return rows;
}

std::vector<std::uint32_t> numbers(std::size_t n) {
    std::vector<std::uint32_t> out(n);
    std::iota(out.begin(), out.end(), 0U);
    return out;
}

TEST(BatchOrder, EveryEpochVisitsEveryRowOnce) {
    const BatchPlan plan{.rows = 23, .batch_size = 5};
    const auto batches = all_of(BatchOrder::of_epochs(plan, 1, 2, 3, 4));
    ASSERT_EQ(batches.size(), 4 * 5U);
    for (std::size_t epoch = 0; epoch < 4; ++epoch) EXPECT_EQ(rows_in(batches, epoch * 5, 5), numbers(23));
    EXPECT_EQ(batches[4].size(), 3U);
    EXPECT_NE(Batches(batches.begin(), batches.begin() + 5), Batches(batches.begin() + 5, batches.begin() + 10))
        << "epochs differ in order";
}

TEST(BatchOrder, DependsOnSeedSiloAndRound) {
    const BatchPlan plan{.rows = 50, .batch_size = 10};
    const auto base = all_of(BatchOrder::of_epochs(plan, 1, 2, 3, 1));
    EXPECT_EQ(all_of(BatchOrder::of_epochs(plan, 1, 2, 3, 1)), base);
    EXPECT_NE(all_of(BatchOrder::of_epochs(plan, 9, 2, 3, 1)), base);
    EXPECT_NE(all_of(BatchOrder::of_epochs(plan, 1, 9, 3, 1)), base);
    EXPECT_NE(all_of(BatchOrder::of_epochs(plan, 1, 2, 9, 1)), base);
}

TEST(BatchOrder, DropLastKeepsFullBatchesOnly) {
    const BatchPlan plan{.rows = 23, .batch_size = 5, .drop_last = true};
    const auto batches = all_of(BatchOrder::of_epochs(plan, 1, 2, 3, 2));
    EXPECT_EQ(batches.size(), 2 * 4U);
    for (const auto& batch : batches) EXPECT_EQ(batch.size(), 5U);
    EXPECT_EQ((BatchPlan{.rows = 3, .batch_size = 5, .drop_last = true}.batches_per_epoch()), 1U) << "a short only batch stays";
}

TEST(BatchOrder, BatchSizeZeroIsAllRows) {
    const auto batches = all_of(BatchOrder::of_epochs({.rows = 7, .batch_size = 0}, 1, 2, 3, 2));
    ASSERT_EQ(batches.size(), 2U);
    EXPECT_EQ(rows_in(batches, 0, 1), numbers(7));
}

// K steps a round for R rounds are the same batches as R K steps in one round.
TEST(BatchOrder, StepsGoOnOverRounds) {
    for (const bool drop_last : {false, true}) {
        const BatchPlan plan{.rows = 23, .batch_size = 5, .drop_last = drop_last};
        const auto whole = all_of(BatchOrder::of_steps(plan, 1, 2, 1, 30));
        Batches pieces;
        for (std::uint32_t round = 1; round <= 10; ++round) {
            for (auto& batch : all_of(BatchOrder::of_steps(plan, 1, 2, round, 3))) pieces.push_back(batch);
        }
        EXPECT_EQ(pieces, whole);
    }
}

TEST(BatchOrder, StepsVisitEveryRowOncePerEpoch) {
    const BatchPlan plan{.rows = 20, .batch_size = 4};
    const auto batches = all_of(BatchOrder::of_steps(plan, 1, 2, 1, 15));
    for (std::size_t epoch = 0; epoch < 3; ++epoch) EXPECT_EQ(rows_in(batches, epoch * 5, 5), numbers(20));
}

TEST(BatchOrder, LeftCountsDown) {
    BatchOrder order = BatchOrder::of_steps({.rows = 20, .batch_size = 4}, 1, 2, 1, 2);
    EXPECT_EQ(order.left(), 2U);
    (void)order.next();
    EXPECT_EQ(order.left(), 1U);
    (void)order.next();
    EXPECT_TRUE(order.next().empty());
}

}  // namespace
}  // namespace silosum

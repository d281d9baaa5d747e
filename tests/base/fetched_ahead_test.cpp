// Which bytes are asked for; that they come sooner only a benchmark sees.
#include "base/fetched_ahead.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace silosum {
namespace {

std::size_t asked_until_empty(SoonRead next, std::size_t parts) {
    next.in_parts(parts);
    std::size_t asked = 0;
    for (; !next.empty(); ++asked) next.ask();
    return asked;
}

TEST(SoonRead, AsksForAllOfBothRangesInAsManyPartsAsItWasTold) {
    const std::vector<std::byte> memory(100000);
    const auto bytes = [&](std::size_t size) { return std::span(memory).first(size); };
    for (const std::size_t parts : {1, 2, 8}) {
        EXPECT_EQ(asked_until_empty({bytes(64 * 64), bytes(64 * 64)}, parts), parts);
        EXPECT_EQ(asked_until_empty({bytes(64 * 64), bytes(10)}, parts), parts);
        EXPECT_EQ(asked_until_empty({{}, bytes(64 * 64)}, parts), parts);
        EXPECT_EQ(asked_until_empty({bytes(100000), bytes(99999)}, parts), parts);
    }
    EXPECT_EQ(asked_until_empty({bytes(65), {}}, 1000), 2) << "not less than a line at a time";
    EXPECT_TRUE(SoonRead().empty());
    EXPECT_EQ(asked_until_empty({}, 3), 0);
}

}  // namespace
}  // namespace silosum

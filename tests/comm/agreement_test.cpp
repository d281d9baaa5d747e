// Every rank must leave agree_on_error with the same verdict.
#include "comm/agreement.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "comm/collectives.hpp"

namespace silosum {
namespace {

std::string caught(const Communicator& world, const std::optional<Error>& error, ExitCode& code) {
    try {
        agree_on_error(world, error);
    } catch (const AgreedError& agreed) {
        code = agreed.code();
        return agreed.what();
    }
    return "";
}

TEST(AgreeOnError, ReturnsWhenNobodyFailed) {
    Communicator world = Communicator::world();
    EXPECT_NO_THROW(agree_on_error(world, std::nullopt));
}

TEST(AgreeOnError, OneFailureReachesAllWithItsRankAndCode) {
    Communicator world = Communicator::world();
    const int last = world.size() - 1;
    std::optional<Error> error;
    if (world.rank() == last) error = DataError("shard a.h5: cut short");
    ExitCode code = ExitCode::done;
    const std::string text = caught(world, error, code);
    EXPECT_EQ(text, world.size() == 1 ? "shard a.h5: cut short" : fmt::format("rank {}: shard a.h5: cut short", last));
    EXPECT_EQ(code, ExitCode::data);
    EXPECT_NO_THROW(agree_on_error(world, std::nullopt)) << "the communicator must stay usable";
}

TEST(AgreeOnError, SeveralFailuresAreListedOnceEachAndTheLowestRankGivesTheCode) {
    Communicator world = Communicator::world();
    if (world.size() < 4) GTEST_SKIP() << "needs four ranks";
    std::optional<Error> error;
    if (world.rank() == 1) error = RuntimeError("disk full");
    if (world.rank() == 2) error = DataError("a label of 12");
    if (world.rank() == 3) error = RuntimeError("disk full");
    ExitCode code = ExitCode::done;
    EXPECT_EQ(caught(world, error, code), "ranks 1, 3: disk full\nrank 2: a label of 12");
    EXPECT_EQ(code, ExitCode::runtime);
}

TEST(AgreeOnError, ManyDifferentMessagesAreCutShort) {
    Communicator world = Communicator::world();
    ExitCode code = ExitCode::done;
    const std::string text = caught(world, RuntimeError(fmt::format("file {}", world.rank())), code);
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n') + 1, std::min(world.size(), 9)) << text;
}

TEST(AgreeOnError, AnErrorOfAllRanksIsTheirMessageAlone) {
    Communicator world = Communicator::world();
    ExitCode code = ExitCode::done;
    EXPECT_EQ(caught(world, UsageError("no such model"), code), "no such model");
    EXPECT_EQ(code, ExitCode::usage);
}

TEST(SucceedOnAll, TurnsAnyExceptionIntoTheSameErrorEverywhere) {
    Communicator world = Communicator::world();
    bool threw = false;
    try {
        succeed_on_all(world, [&] {
            if (world.rank() == 0) throw std::out_of_range("beyond the end");
        });
    } catch (const AgreedError& error) {
        threw = error.code() == ExitCode::runtime && std::string(error.what()).find("beyond the end") != std::string::npos;
    }
    EXPECT_TRUE(threw);
}

TEST(SucceedOnFirst, OnlyRankZeroWorksAndItsErrorIsEverybodysWithoutARank) {
    Communicator world = Communicator::world();
    int calls = 0;
    EXPECT_NO_THROW(succeed_on_first(world, [&] { ++calls; }));
    EXPECT_EQ(calls, world.rank() == 0 ? 1 : 0);
    try {
        succeed_on_first(world, [] { throw DataError("no such folder"); });
        ADD_FAILURE() << "rank " << world.rank() << " went on";
    } catch (const AgreedError& error) {
        EXPECT_STREQ(error.what(), "no such folder");
        EXPECT_EQ(error.code(), ExitCode::data);
    }
}

}  // namespace
}  // namespace silosum

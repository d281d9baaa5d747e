// Every way of adding up that the benchmark times gives the sums that it should, whoever hosts the silos.
#include "benchmark/race.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "comm/collectives.hpp"

namespace {

std::uint64_t bytes_sent = 0;  // by messages of this rank

}  // namespace

// MPI lets a program look at every call.
extern "C" int MPI_Isend(const void* data, int count, MPI_Datatype type, int to, int tag, MPI_Comm communicator, MPI_Request* request) {
    bytes_sent += static_cast<std::uint64_t>(count);
    return PMPI_Isend(data, count, type, to, tag, communicator, request);
}

namespace silosum {
namespace {

using testing::HasSubstr;

const std::vector<std::string> all_rows{"allreduce-kept", "float", "exact", "secure"};

class RaceTest : public testing::Test {
protected:
    [[nodiscard]] std::vector<BenchmarkLine> lines_of(const BenchmarkSetting& setting, std::uint64_t repetitions = 2) {
        MachineLoad load(world);
        return race(world, load, all_rows, {32, 64}, setting, {.most_repetitions = repetitions});
    }

    Communicator world = Communicator::world();
};

TEST_F(RaceTest, NoWordIsWrong) {
    for (const std::uint32_t silos : {3U, 5U, 9U}) {
        for (const double dropouts : {0.0, 0.25}) {
            for (const char* const transport : {"shared", "messages"}) {
                if (silos == 3 && dropouts > 0) continue;
                const auto lines = lines_of({.parameters = 10007, .silos = silos, .dropouts = dropouts, .transport = transport});
                ASSERT_EQ(lines.size(), 7);
                for (const auto& line : lines) {
                    SCOPED_TRACE(line.exchange);
                    EXPECT_EQ(line.wrong_words, 0);
                    EXPECT_EQ(line.repetitions, 2) << line.note;
                    EXPECT_EQ(line.knows_its_sum, line.ring_bits != 0);
                    EXPECT_GT(line.median_s, 0);
                    EXPECT_LE(line.least_s, line.median_s);
                    EXPECT_THAT(line.note, HasSubstr("not valid")) << "of two repetitions";
                }
                EXPECT_EQ(lines.front().of_allreduce, 1);
                EXPECT_THAT(lines.back().phases, testing::Contains(testing::Key("mask")));
            }
        }
    }
}

TEST_F(RaceTest, RanksOfAMachineMayBeTakenAsSeveralNodes) {
    for (const int each : {0, 1, 2, 3}) {
        const std::uint64_t nodes = each == 0 ? 1 : static_cast<std::uint64_t>((world.size() + each - 1) / each);
        bytes_sent = 0;
        MachineLoad load(world);
        const auto lines =
            race(world, load, {"exact"}, {32, 64}, {.parameters = 100007, .silos = 5, .ranks_per_node = each}, {.most_repetitions = 2});
        for (const auto& line : lines) {
            EXPECT_EQ(line.wrong_words, 0) << line.exchange;
            EXPECT_EQ(line.to_json(world.size()).contains("ranks_per_node"), each > 0);
        }
        std::uint64_t bytes = bytes_sent;
        all_reduce_sum(world, std::span<std::uint64_t>(&bytes, 1));
        const std::uint64_t words = 100007 * (4 + 8);
        EXPECT_GE(bytes, 2 * (nodes - 1) * words) << "two repetitions cross between " << nodes << " nodes";
        EXPECT_TRUE(nodes > 1 || bytes < words) << bytes;
    }
}

// Parts that do not divide the vector, nor the words of a key stream.
TEST_F(RaceTest, NoWordIsWrongWhereAVectorIsSummedPartByPart) {
    for (const double dropouts : {0.0, 0.25}) {
        const auto lines = lines_of({.parameters = 10007, .part = 1013, .silos = 5, .dropouts = dropouts});
        ASSERT_EQ(lines.size(), 7);
        for (const auto& line : lines) {
            SCOPED_TRACE(line.exchange);
            EXPECT_EQ(line.wrong_words, 0);
            EXPECT_EQ(line.repetitions, 2) << line.note;
            EXPECT_EQ(line.to_json(world.size())["part_parameters"], 1013);
        }
    }
    EXPECT_FALSE(lines_of({.parameters = 1000, .part = 1000, .silos = 5}).front().to_json(world.size()).contains("part_parameters"));
}

TEST_F(RaceTest, AllRanksHaveTheSameLines) {
    for (const auto& line : lines_of({.parameters = 1000, .silos = 4}, 6)) {
        const std::string mine = line.to_json(world.size()).dump();
        EXPECT_EQ(all_gather_text(world, mine).front(), mine);
    }
}

TEST_F(RaceTest, AWayThatCannotBeIsALineOfItsOwn) {
    const auto lines = lines_of({.parameters = 1000, .silos = 2});
    EXPECT_EQ(lines.back().repetitions, 0);
    EXPECT_THAT(lines.back().note, HasSubstr("silos"));
    EXPECT_FALSE(lines.back().is_valid);
    EXPECT_EQ(lines[3].repetitions, 2) << "the others are timed";
}

TEST_F(RaceTest, TheSumOfNcclWantsAGpu) {
    MachineLoad load(world);
    const auto lines = race(world, load, {"nccl-allreduce"}, {32}, {.parameters = 1000}, {.most_repetitions = 2});
    ASSERT_EQ(lines.size(), 2);
    EXPECT_EQ(lines.front().repetitions, 2);
    EXPECT_EQ(lines.back().repetitions, 0);
    EXPECT_THAT(lines.back().note, HasSubstr("--device cuda"));
    EXPECT_FALSE(lines.front().to_json(world.size()).contains("of_nccl_allreduce"));
}

}  // namespace
}  // namespace silosum

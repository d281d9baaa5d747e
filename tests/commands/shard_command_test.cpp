// The verbs `shard` and `inspect` as their users meet them: arguments in, files, text and exit codes out.
#include <algorithm>
#include <cstdio>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "commands/inspect.hpp"
#include "commands/shard.hpp"
#include "data/shard.hpp"
#include "support/idx.hpp"
#include "support/message_of.hpp"
#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ShardCommand : public ::testing::Test {
protected:
    ShardCommand() {
        std::filesystem::create_directory(folder_ / "idx");
        write_text(folder_ / "idx/train-images-idx3-ubyte", idx_images(200, 3, 4));
        write_text(folder_ / "idx/train-labels-idx1-ubyte", idx_labels(200));
        write_text(folder_ / "idx/t10k-images-idx3-ubyte", idx_images(30, 3, 4));
        write_text(folder_ / "idx/t10k-labels-idx1-ubyte", idx_labels(30));
        std::string table = "size,island,kind\n";
        for (int i = 0; i < 40; ++i) table += std::to_string(i) + (i < 30 ? ",North Rock," : ",South,") + (i % 2 == 0 ? "a\n" : "b\n");
        write_text(folder_ / "t.csv", table);
    }
    std::string shard(std::vector<std::string> arguments) {
        ::testing::internal::CaptureStdout();
        try {
            EXPECT_EQ(run_shard(arguments), 0);
        } catch (...) {
            (void)::testing::internal::GetCapturedStdout();
            throw;
        }
        std::fflush(stdout);
        return ::testing::internal::GetCapturedStdout();
    }
    std::string refusal(const std::vector<std::string>& arguments) {
        return message_of<UsageError>([&] { (void)shard(arguments); });
    }
    [[nodiscard]] std::vector<std::string> mnist(const std::string& out, std::vector<std::string> more) const {
        std::vector<std::string> arguments{"--from", "mnist:" + (folder_ / "idx").string(), "--out", (folder_ / out).string()};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    }
    [[nodiscard]] std::vector<std::string> csv(const std::string& out, std::vector<std::string> more) const {
        std::vector<std::string> arguments{"--from", "csv:" + (folder_ / "t.csv").string(), "--out", (folder_ / out).string()};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    }
    TemporaryFolder folder_;
};

TEST_F(ShardCommand, TheSameSeedGivesTheSameBytes) {
    const std::vector<std::string> how{"--silos", "4", "--split", "dirichlet:0.5", "--validation-fraction", "0.1", "--seed", "7"};
    shard(mnist("a", how));
    shard(mnist("b", how));
    shard(mnist("c", {"--silos", "4", "--split", "dirichlet:0.5", "--validation-fraction", "0.1", "--seed", "8"}));
    for (const char* name : {"silo-000.h5", "silo-001.h5", "silo-002.h5", "silo-003.h5", "test.h5"}) {
        EXPECT_EQ(read_text(folder_ / "a" / name), read_text(folder_ / "b" / name)) << name;
    }
    EXPECT_NE(read_shard(folder_ / "a" / "silo-000.h5").fingerprint, read_shard(folder_ / "c" / "silo-000.h5").fingerprint);
}

TEST_F(ShardCommand, AColumnNamesSilosAndTheirFiles) {
    const std::string text = shard(csv("s", {"--label", "kind", "--split", "by:island"}));
    const Shard north = read_shard(folder_ / "s" / "silo-North_Rock.h5");
    EXPECT_EQ(north.silo, "North Rock");
    EXPECT_EQ(north.train.rows, 27U);
    EXPECT_EQ(north.test.rows, 3U);
    EXPECT_THAT(text, HasSubstr("silo        rows  train  validation  test   a   b\n"
                                "North Rock    30     27           0     3  15  15\n"
                                "South         10      9           0     1   5   5\n"
                                "all           40     36           0     4  20  20\n"));
}

TEST_F(ShardCommand, TheSourcesTestSetIsOneCommonFile) {
    EXPECT_THAT(shard(mnist("m", {"--silos", "2", "--test-fraction", "0"})), HasSubstr("common test set: 30 rows"));
    EXPECT_EQ(read_test_shard(folder_ / "m" / "test.h5").test.rows, 30U);
    EXPECT_EQ(read_shard(folder_ / "m" / "silo-001.h5").test.rows, 0U);
}

TEST_F(ShardCommand, OldShardsAreKeptUnlessForced) {
    shard(mnist("m", {"--silos", "5"}));
    EXPECT_THAT(refusal(mnist("m", {"--silos", "2"})), HasSubstr("holds 6 shards already: give --force"));
    EXPECT_THAT(shard(mnist("m", {"--silos", "2", "--force"})), HasSubstr("removed 3 old shards"));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "m" / "silo-002.h5"));
}

TEST_F(ShardCommand, WrongOptionsAreNamedAllAtOnce) {
    EXPECT_THAT(refusal(mnist("m", {"--silo", "2", "--sead", "3"})),
                AllOf(HasSubstr("unknown option \"--silo\"; did you mean \"--silos\"?"), HasSubstr("did you mean \"--seed\"?")));
    EXPECT_THAT(refusal({"--silos", "2"}), HasSubstr("--from"));
    EXPECT_THAT(refusal(mnist("m", {"--silos", "two"})), HasSubstr("two"));
    EXPECT_THAT(refusal(mnist("m", {"--silos", "0"})), HasSubstr("must be at least 1"));
    EXPECT_THAT(refusal(mnist("m", {"--silos", "2", "--seed", "-1"})), HasSubstr("--seed -1"));
    EXPECT_THAT(refusal(mnist("m", {"--silos", "2", "--test-fraction", "1"})), HasSubstr("--test-fraction 1"));
    EXPECT_THAT(refusal(mnist("m", {"--silos", "2", "--test-fraction", "0.6", "--validation-fraction", "0.6"})),
                HasSubstr("add up to 1.2"));
}

TEST_F(ShardCommand, SplitsThatCannotBeAreRefused) {
    EXPECT_THAT(refusal(mnist("m", {"--silos", "2", "--split", "dirichlet"})), HasSubstr("a value after a colon is missing"));
    EXPECT_THAT(refusal(mnist("m", {"--silos", "2", "--split", "dirichlet:-1"})), HasSubstr("a number above 0"));
    EXPECT_THAT(refusal(mnist("m", {"--silos", "2", "--split", "labels:1.5"})), HasSubstr("whole number"));
    EXPECT_THAT(refusal(mnist("m", {"--silos", "2", "--split", "dirichlett:1"})), HasSubstr("did you mean \"dirichlet\"?"));
    EXPECT_THAT(refusal(mnist("m", {})), HasSubstr("needs --silos"));
    EXPECT_THAT(refusal(mnist("m", {"--split", "by:label"})), HasSubstr("images have no columns"));
    EXPECT_THAT(refusal(mnist("m", {"--silos", "2", "--label", "kind"})), HasSubstr("--label is for csv sources"));
    EXPECT_THAT(refusal(csv("s", {"--label", "kind", "--split", "by:island", "--silos", "3"})), HasSubstr("the data names 2 silos"));
    EXPECT_THAT(refusal(csv("s", {"--label", "size", "--task", "regression", "--silos", "2", "--split", "labels:1"})),
                HasSubstr("needs classes"));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "s")) << "nothing is made before everything is checked";
}

TEST_F(ShardCommand, SeveralFilesAreSilos) {
    std::filesystem::copy(folder_ / "t.csv", folder_ / "u.csv");
    shard({"--from", "csv:" + (folder_ / "t.csv").string(), (folder_ / "u.csv").string(), "--label", "kind", "--out",
           (folder_ / "s").string()});
    EXPECT_EQ(read_shard(folder_ / "s" / "silo-t.h5").silo, "t");
    EXPECT_EQ(read_shard(folder_ / "s" / "silo-u.h5").silo, "u");
}

struct Inspection {
    int code;
    std::string text, problems;
};

Inspection inspect(const std::vector<std::string>& arguments) {
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int code = run_inspect(arguments);
    std::fflush(stdout);
    std::string text = ::testing::internal::GetCapturedStdout();
    return {code, text, ::testing::internal::GetCapturedStderr()};
}

TEST_F(ShardCommand, InspectShowsGoodShards) {
    shard(csv("s", {"--label", "kind", "--split", "by:island"}));
    const Inspection seen = inspect({(folder_ / "s").string()});
    EXPECT_EQ(seen.code, 0);
    EXPECT_THAT(seen.problems, IsEmpty());
    EXPECT_THAT(seen.text, AllOf(HasSubstr("silo         South"), HasSubstr("train        27 rows"), HasSubstr("size  0 to 29, mean 14.5"),
                                 HasSubstr("checks       good")));
}

TEST_F(ShardCommand, InspectNamesEveryProblemAndFails) {
    shard(csv("s", {"--label", "kind", "--split", "by:island"}));
    shard(mnist("m", {"--silos", "2"}));
    write_text(folder_ / "cut.h5", "no");
    const Inspection seen = inspect({(folder_ / "s" / "silo-South.h5").string(), (folder_ / "m" / "silo-000.h5").string(),
                                     (folder_ / "cut.h5").string(), (folder_ / "none.h5").string()});
    EXPECT_EQ(seen.code, 3);
    EXPECT_THAT(seen.problems, AllOf(HasSubstr("silo-000.h5: classification into 10 classes"), HasSubstr("cut.h5: it is cut"),
                                     HasSubstr("none.h5: no such file")));
    EXPECT_EQ(std::count(seen.problems.begin(), seen.problems.end(), '\n'), 3);
}

}  // namespace
}  // namespace silosum

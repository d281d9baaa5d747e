#include "data/data_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "support/message_of.hpp"
#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ShardFiles : public ::testing::Test {
protected:
    ShardFiles() {
        for (const char* name : {"silo-b.h5", "silo-a.h5", "test.h5", "notes.txt", ".silo-c.h5"}) write_text(folder_ / name, "");
    }
    TemporaryFolder folder_;
};

TEST_F(ShardFiles, AFolderIsItsShardsInOrder) {
    EXPECT_THAT(shard_files({folder_.path().string()}), ElementsAre(folder_ / "silo-a.h5", folder_ / "silo-b.h5"));
}

TEST_F(ShardFiles, PatternsAndFilesKeepTheirOrder) {
    EXPECT_THAT(shard_files({(folder_ / "none.h5").string(), (folder_ / "silo-*.h5").string()}),
                ElementsAre(folder_ / "none.h5", folder_ / "silo-a.h5", folder_ / "silo-b.h5"));
}

TEST_F(ShardFiles, NothingAndTwiceAreRefused) {
    EXPECT_THAT(message_of<DataError>([&] { (void)shard_files({(folder_ / "x*.h5").string()}); }), HasSubstr("x*.h5 matches no file"));
    const TemporaryFolder empty;
    EXPECT_THAT(message_of<DataError>([&] { (void)shard_files({empty.path().string()}); }), HasSubstr("folder without shards"));
    EXPECT_THAT(message_of<DataError>([&] {
                    (void)shard_files({folder_.path().string(), (folder_ / "silo-a.h5").string()});
                }),
                HasSubstr("silo-a.h5 is named twice"));
}

class DataOptions : public ::testing::Test {
protected:
    DataOptions() { config_.add_to(options_); }
    std::vector<std::string> problems(std::vector<std::string> flags) { return options_.load("", flags); }
    DataConfig config_;
    Options options_;
};

TEST_F(DataOptions, GoodValuesAreTaken) {
    EXPECT_THAT(problems({"--data.shards", "a.h5", "--data.standardise", "federated", "--data.class_weights", "1, 2.5"}), IsEmpty());
    EXPECT_THAT(config_.class_weights, ElementsAre("1", "2.5"));
}

TEST_F(DataOptions, BadValuesAreRefused) {
    EXPECT_THAT(problems({}), ElementsAre(HasSubstr("data.shards")));
    EXPECT_THAT(problems({"--data.shards", "a.h5", "--data.class_weights", "1,-2"}), ElementsAre(HasSubstr("data.class_weights")));
}

TEST_F(DataOptions, UnknownStandardisationIsRefused) {
    EXPECT_THAT(problems({"--data.shards", "a.h5", "--data.standardise", "federate"}), ElementsAre(HasSubstr("federated")));
}

}  // namespace
}  // namespace silosum

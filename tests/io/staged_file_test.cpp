// A staged file is there for as long as it is read.
#include "io/staged_file.hpp"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "support/message_of.hpp"
#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

TEST(StagedFile, ACopyThatGoesWithItsReader) {
    const TemporaryFolder folder;
    write_text(folder / "shard.h5", "rows");
    const auto disk = folder / "disk";
    {
        const StagedFile copy(folder / "shard.h5", disk);
        EXPECT_EQ(read_text(copy.path()), "rows");
        EXPECT_EQ(copy.path().parent_path(), disk);
    }
    EXPECT_TRUE(std::filesystem::is_empty(disk));
    EXPECT_TRUE(std::filesystem::exists(folder / "shard.h5"));
}

// A shard may be readable by all where only its folder keeps others out.
TEST(StagedFile, ItsUserAloneMayReadIt) {
    const TemporaryFolder folder;
    write_text(folder / "shard.h5", "rows");
    using std::filesystem::perms;
    std::filesystem::permissions(folder / "shard.h5", perms::owner_read | perms::owner_write | perms::others_read);
    const StagedFile copy(folder / "shard.h5", folder.path());
    EXPECT_EQ(std::filesystem::status(copy.path()).permissions(), perms::owner_read | perms::owner_write);
}

TEST(StagedFile, TwoOfOneFileAreTwo) {
    const TemporaryFolder folder;
    write_text(folder / "shard.h5", "rows");
    const StagedFile one(folder / "shard.h5", folder.path());
    const StagedFile other(folder / "shard.h5", folder.path());
    EXPECT_NE(one.path(), other.path());
}

TEST(StagedFile, WhatCannotBeReadLeavesNothing) {
    const TemporaryFolder folder;
    EXPECT_THAT(message_of<RuntimeError>([&] { const StagedFile copy(folder / "shard.h5", folder / "disk"); }),
                testing::HasSubstr("No such file"));
    EXPECT_THAT(message_of<RuntimeError>([&] { const StagedFile copy(folder.path(), folder / "disk"); }),
                testing::HasSubstr("Is a directory"));
    EXPECT_TRUE(std::filesystem::is_empty(folder / "disk"));
}

TEST(StagedFile, AFolderThatCannotBeIsNamed) {
    const TemporaryFolder folder;
    write_text(folder / "shard.h5", "rows");
    EXPECT_THAT(message_of<RuntimeError>([&] { const StagedFile copy(folder / "shard.h5", folder.path() / "shard.h5" / "inside"); }),
                testing::AllOf(testing::StartsWith("data.stage: cannot copy "), testing::HasSubstr("Not a directory")));
}

}  // namespace
}  // namespace silosum

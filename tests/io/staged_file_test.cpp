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

TEST(StagedFile, AFolderThatCannotBeIsNamed) {
    const TemporaryFolder folder;
    write_text(folder / "shard.h5", "rows");
    EXPECT_THAT(message_of<RuntimeError>([&] { const StagedFile copy(folder / "shard.h5", folder.path() / "shard.h5" / "inside"); }),
                testing::AllOf(testing::StartsWith("data.stage: cannot copy "), testing::HasSubstr("Not a directory")));
}

}  // namespace
}  // namespace silosum

// A folder is one program's until that program ends.
#include "io/folder_lock.hpp"

#include <csignal>
#include <filesystem>
#include <optional>

#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "support/message_of.hpp"

namespace silosum {
namespace {

class FolderLockTest : public testing::Test {
protected:
    void SetUp() override { std::filesystem::create_directories(folder); }
    void TearDown() override { std::filesystem::remove_all(folder); }
    std::filesystem::path folder = std::filesystem::temp_directory_path() / ("silosum-lock-" + std::to_string(::getpid()));
};

TEST_F(FolderLockTest, ASecondOneIsToldWhoHasItUntilTheFirstGoes) {
    std::optional<FolderLock> first(std::in_place, folder);
    const std::string text = message_of<UsageError>([&] { const FolderLock second(folder); });
    EXPECT_THAT(text, testing::StartsWith(folder.string() + " is in use by process " + std::to_string(::getpid()) + " on "));
    first.reset();
    EXPECT_NO_THROW(FolderLock{folder});
}

TEST_F(FolderLockTest, AKilledHolderLeavesNothingBehind) {
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        const FolderLock lock(folder);
        (void)!::write(ready[1], "x", 1);
        ::pause();
    }
    char byte = 0;
    ASSERT_EQ(::read(ready[0], &byte, 1), 1);
    EXPECT_THROW(FolderLock{folder}, UsageError);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    EXPECT_NO_THROW(FolderLock{folder});
}

TEST_F(FolderLockTest, AFolderThatIsNotThereIsNamed) {
    EXPECT_THAT(message_of<RuntimeError>([&] { const FolderLock lock(folder / "not-there"); }),
                testing::HasSubstr((folder / "not-there" / ".lock").string() + ": No such file or directory"));
}

}  // namespace
}  // namespace silosum

#include "io/atomic_file.hpp"

#include <csignal>
#include <iterator>

#include <sys/resource.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "support/message_of.hpp"
#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

using ::testing::HasSubstr;

std::ptrdiff_t files_in(const TemporaryFolder& folder) {
    return std::distance(std::filesystem::directory_iterator(folder.path()), std::filesystem::directory_iterator());
}

TEST(AtomicFile, ReplacesTheFileAndLeavesNothingElse) {
    const TemporaryFolder folder;
    write_file_atomically(folder / "a.txt", "old");
    write_file_atomically(folder / "a.txt", "new\n");
    EXPECT_EQ(read_text(folder / "a.txt"), "new\n");
    EXPECT_EQ(files_in(folder), 1);
}

TEST(AtomicFile, WithoutCommitTheTargetIsAsBefore) {
    const TemporaryFolder folder;
    write_file_atomically(folder / "a.txt", "old");
    {
        const AtomicFile file(folder / "a.txt");
        write_text(file.temporary(), "half");
        EXPECT_EQ(file.temporary().parent_path(), folder.path());
    }
    EXPECT_EQ(read_text(folder / "a.txt"), "old");
    EXPECT_EQ(files_in(folder), 1);
}

TEST(AtomicFile, AFullDiskKeepsTheOldFileAndSaysWhy) {
    const TemporaryFolder folder;
    write_file_atomically(folder / "a.txt", "old");
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{4096, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto message = message_of<RuntimeError>([&] { write_file_atomically(folder / "a.txt", std::string(10000, 'x')); });
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    EXPECT_EQ(message, "cannot write " + (folder / "a.txt").string() + ": File too large");
    EXPECT_EQ(read_text(folder / "a.txt"), "old");
    EXPECT_EQ(files_in(folder), 1);
}

TEST(AtomicFile, AMissingFolderIsNamed) {
    const TemporaryFolder folder;
    const auto target = folder.path() / "no" / "a.txt";
    EXPECT_EQ(message_of<RuntimeError>([&] { write_file_atomically(target, "x"); }),
              "cannot write " + target.string() + ": No such file or directory");
}

TEST(AtomicFile, AFolderInTheWayIsNamed) {
    const TemporaryFolder folder;
    std::filesystem::create_directory(folder / "a.txt");
    EXPECT_THAT(message_of<RuntimeError>([&] { write_file_atomically(folder / "a.txt", "x"); }), HasSubstr("a.txt: Is a directory"));
    EXPECT_EQ(files_in(folder), 1);
}

}  // namespace
}  // namespace silosum

// A file is open to all where its mode and all folders on the way to it are.
#include "io/permissions.hpp"

#include <filesystem>

#include <gtest/gtest.h>

#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

namespace fs = std::filesystem;

TEST(Permissions, TheModeAndTheWayBothCount) {
    const TemporaryFolder folder;
    const fs::path inner = folder.path() / "inner";
    fs::create_directories(inner);
    write_text(inner / "file", "rows");
    const auto set = [](const fs::path& path, unsigned mode) { fs::permissions(path, static_cast<fs::perms>(mode)); };
    for (const auto& path : {folder.path(), inner}) set(path, 0755);
    set(inner / "file", 0644);
    if (!is_readable_by_all(inner / "file")) GTEST_SKIP() << "the temporary folder itself is closed to others";
    set(inner / "file", 0640);
    EXPECT_FALSE(is_readable_by_all(inner / "file"));
    set(inner / "file", 0644);
    set(folder.path(), 0750);
    EXPECT_FALSE(is_readable_by_all(inner / "file"));
    set(folder.path(), 0711);  // to enter is enough
    EXPECT_TRUE(is_readable_by_all(inner / "file"));
    fs::create_symlink(inner / "file", folder.path() / "link");
    set(inner, 0700);
    EXPECT_FALSE(is_readable_by_all(folder.path() / "link"));
    EXPECT_FALSE(is_readable_by_all(folder.path() / "not-there"));
}

}  // namespace
}  // namespace silosum

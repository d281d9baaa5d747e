#include "io/plain_or_gzip.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "support/gzip.hpp"
#include "support/message_of.hpp"
#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

using ::testing::HasSubstr;

std::string text_of(const std::filesystem::path& path) {
    const auto bytes = read_plain_or_gzip(path);
    return {bytes.begin(), bytes.end()};
}

TEST(PlainOrGzip, BothReadTheSameWhateverTheName) {
    const TemporaryFolder folder;
    std::string text;
    for (int i = 0; i < 1000000; ++i) text += static_cast<char>('a' + (i % 23) * (i % 23) % 23);
    write_text(folder / "plain", text);
    write_gzip(folder / "packed", text);
    EXPECT_EQ(text_of(folder / "plain"), text);
    EXPECT_EQ(text_of(folder / "packed"), text);
    write_text(folder / "empty", "");
    EXPECT_EQ(text_of(folder / "empty"), "");
}

TEST(PlainOrGzip, DamageIsNamed) {
    const TemporaryFolder folder;
    const auto read = [](const std::filesystem::path& path) { return message_of<DataError>([&] { (void)read_plain_or_gzip(path); }); };
    EXPECT_THAT(read(folder / "none.gz"), HasSubstr("none.gz: No such file or directory"));
    EXPECT_THAT(read(folder.path()), HasSubstr("it is a folder"));
    write_gzip(folder / "a.gz", std::string(10000, 'x') + "some more text");
    std::string bytes = read_text(folder / "a.gz");
    write_text(folder / "cut.gz", bytes.substr(0, bytes.size() - 12));
    EXPECT_THAT(read(folder / "cut.gz"), HasSubstr("cut.gz: the gzip file is cut"));
    bytes[bytes.size() - 6] = static_cast<char>(bytes[bytes.size() - 6] ^ 1);  // in the checksum
    write_text(folder / "bad.gz", bytes);
    EXPECT_THAT(read(folder / "bad.gz"), HasSubstr("bad.gz: "));
}

}  // namespace
}  // namespace silosum

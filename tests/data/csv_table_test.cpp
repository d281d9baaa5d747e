#include "data/csv_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "support/gzip.hpp"
#include "support/message_of.hpp"
#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CsvTableTest : public ::testing::Test {
protected:
    CsvTable table(const std::string& text, char separator = ',', const std::vector<std::string>& header = {}) {
        write_text(path_, text);
        return CsvTable(path_, separator, header);
    }
    std::string refusal(const std::string& text) {
        return message_of<DataError>([&] { (void)table(text); });
    }
    static std::vector<std::string> row(const CsvTable& table, std::size_t r) {
        std::vector<std::string> cells;
        for (std::size_t c = 0; c < table.header().size(); ++c) cells.emplace_back(table.cell(r, c));
        return cells;
    }

    TemporaryFolder folder_;
    std::filesystem::path path_ = folder_ / "t.csv";
};

TEST_F(CsvTableTest, LineEndsOfAllSystemsReadTheSame) {
    for (const std::string end : {"\n", "\r\n", "\r"}) {
        for (const std::string last : {"", end.c_str()}) {
            const CsvTable t = table("a,b" + end + "1,2" + end + end + "3,4" + last);
            ASSERT_EQ(t.rows(), 2U);
            EXPECT_THAT(t.header(), ElementsAre("a", "b"));
            EXPECT_THAT(row(t, 1), ElementsAre("3", "4"));
            EXPECT_EQ(t.line(1), 4U);
        }
    }
}

TEST_F(CsvTableTest, QuotedFieldsHoldAnything) {
    const CsvTable t = table("\"a\",\"b\"\"c\",d\r\n\"1,2\",\"line\r\nbreak\",\" kept \"\n\"\",\"\"\"\",  trimmed \nx,y,\n");
    EXPECT_THAT(t.header(), ElementsAre("a", "b\"c", "d"));
    ASSERT_EQ(t.rows(), 3U);
    EXPECT_THAT(row(t, 0), ElementsAre("1,2", "line\r\nbreak", " kept "));
    EXPECT_THAT(row(t, 1), ElementsAre("", "\"", "trimmed"));
    EXPECT_THAT(row(t, 2), ElementsAre("x", "y", ""));
    EXPECT_EQ(t.line(1), 4U) << "lines inside quotes count";
}

TEST_F(CsvTableTest, SeparatorsHeadersAndMarks) {
    EXPECT_THAT(row(table("a;b\n1;2,5\n", ';'), 0), ElementsAre("1", "2,5"));
    EXPECT_THAT(row(table("a\tb\n1\t\n", '\t'), 0), ElementsAre("1", ""));
    const CsvTable without = table("1,2\n3,4\n", ',', {"x", "y"});
    EXPECT_EQ(without.rows(), 2U);
    EXPECT_EQ(without.line(0), 1U);
    EXPECT_THAT(table("\xEF\xBB\xBFname,\n1,2\n").header(), ElementsAre("name", "unnamed-2"));
}

TEST_F(CsvTableTest, GzipReadsAsPlain) {
    write_gzip(folder_ / "t.csv.gz", "a,b\n1,2\n");
    EXPECT_THAT(row(CsvTable(folder_ / "t.csv.gz", ','), 0), ElementsAre("1", "2"));
}

TEST_F(CsvTableTest, FaultsNameTheLine) {
    EXPECT_THAT(refusal("a,b\n1,2\n3\n"), HasSubstr("t.csv line 3 has 1 fields, the header has 2"));
    EXPECT_THAT(refusal("a,b\n1,\"2\n3,4\n"), HasSubstr("t.csv line 2: the quote that opens here is never closed"));
    EXPECT_THAT(refusal("a,b\n1,\"2\"x\n"), HasSubstr("t.csv line 2: text follows a closing quote"));
    EXPECT_THAT(refusal("a,a\n1,2\n"), HasSubstr("the column \"a\" is there twice"));
    EXPECT_THAT(refusal(""), HasSubstr("t.csv is empty"));
    EXPECT_THAT(refusal("a,b\n1,2\nM\xFCnchen,3\n"), HasSubstr("t.csv line 3 is not UTF-8 text; convert it"));
}

}  // namespace
}  // namespace silosum

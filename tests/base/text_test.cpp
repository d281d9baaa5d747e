// Words in messages: the nearest name is what was meant, or nothing; text goes apart and together without loss.
#include "base/text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace silosum {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::vector<std::string> names{"mean", "median", "trimmed-mean", "krum"};

TEST(NearestName, IsWhatASlipOfTheFingersMeant) {
    EXPECT_EQ(nearest_name("medain", names), "median");  // two letters swapped
    EXPECT_EQ(nearest_name("meen", names), "mean");      // one replaced
    EXPECT_EQ(nearest_name("kru", names), "krum");       // one missing
    EXPECT_EQ(nearest_name("krumm", names), "krum");     // one too many
    EXPECT_EQ(nearest_name("median", names), "median");  // itself
}

TEST(NearestName, IsEmptyWhereNothingIsNear) {
    EXPECT_EQ(nearest_name("learning_rate", names), "");
    EXPECT_EQ(nearest_name("median", {}), "");
}

TEST(UnknownName, NamesTheValueTheGuessAndTheChoice) {
    EXPECT_EQ(unknown_name("aggregator", "medain", names),
              "unknown aggregator \"medain\"; did you mean \"median\"? known: mean, median, trimmed-mean, krum");
    EXPECT_THAT(unknown_name("aggregator", "learning_rate", names), Not(HasSubstr("did you mean")));
}

TEST(Split, KeepsEmptyParts) {
    EXPECT_THAT(split("a,b,,c", ','), ElementsAre("a", "b", "", "c"));
    EXPECT_THAT(split(",", ','), ElementsAre("", ""));
    EXPECT_THAT(split("", ','), ElementsAre(""));
}

TEST(Split, IsUndoneByJoin) {
    const std::string text = "x,,y,z,";
    EXPECT_EQ(join(split(text, ','), ","), text);
}

TEST(Trim, TakesBlanksFromBothEndsOnly) {
    EXPECT_EQ(trim(" \t a b \r\n"), "a b");
    EXPECT_EQ(trim("a"), "a");
    EXPECT_EQ(trim(" \n"), "");
    EXPECT_EQ(trim(""), "");
}

TEST(FirstNotUtf8, TakesTextInAllScripts) {
    EXPECT_EQ(first_not_utf8(""), std::string_view::npos);
    EXPECT_EQ(first_not_utf8("São, München, Ελλάδα, 東京, 𝄞"), std::string_view::npos);
}

TEST(FirstNotUtf8, FindsWhatIsNot) {
    EXPECT_EQ(first_not_utf8("M\xFCnchen"), 1U) << "Latin-1";
    EXPECT_EQ(first_not_utf8("ab\xC3"), 2U) << "cut";
    EXPECT_EQ(first_not_utf8("\x80"), 0U) << "a following byte alone";
    EXPECT_EQ(first_not_utf8("a\xC0\xAF"), 1U) << "longer than needed";
    EXPECT_EQ(first_not_utf8("\xE0\x80\x80"), 0U) << "longer than needed";
    EXPECT_EQ(first_not_utf8("\xED\xA0\x80"), 0U) << "a surrogate";
    EXPECT_EQ(first_not_utf8("\xF4\x90\x80\x80"), 0U) << "beyond Unicode";
}

TEST(SizeText, TakesTheUnitThatFits) {
    EXPECT_EQ(size_text(512), "0.5 KiB");
    EXPECT_EQ(size_text(1.5 * 0x1p20), "1.5 MiB");
    EXPECT_EQ(size_text(0x1p30), "1.00 GiB");
}

TEST(CsvField, IsQuotedWhereItHasTo) {
    EXPECT_EQ(csv_field("plain"), "plain");
    EXPECT_EQ(csv_field("a, \"b\""), "\"a, \"\"b\"\"\"");
}

TEST(Counted, KnowsOneFromMany) {
    EXPECT_EQ(counted(1, "rank"), "1 rank");
    EXPECT_EQ(counted(0, "rank"), "0 ranks");
    EXPECT_EQ(counted(3, "silo"), "3 silos");
}

}  // namespace
}  // namespace silosum

#include "data/import_csv.hpp"

#include <cmath>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "data/cut.hpp"
#include "support/message_of.hpp"
#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ImportCsv : public ::testing::Test {
protected:
    ImportCsv() { settings_.label = "y"; }
    void write(const std::string& name, const std::string& text) {
        write_text(folder_ / name, text);
        settings_.files.push_back(folder_ / name);
    }
    Source import() {
        notes_.clear();
        return import_csv(settings_, notes_);
    }
    template <class E>
    std::string refusal() {
        return message_of<E>([&] { (void)import(); });
    }
    static std::vector<float> row(const Source& source, std::size_t r) {
        const auto* begin = source.rows.floats.data() + r * source.rows.features;
        return {begin, begin + source.rows.features};
    }

    TemporaryFolder folder_;
    CsvSettings settings_;
    std::vector<std::string> notes_;
};

TEST_F(ImportCsv, NumbersStayAndWordsBecomeOneHot) {
    write("a.csv", "age,colour,y\n1.5,red,no\n-2e1,blue,yes\n+3,red,no\n");
    const Source source = import();
    EXPECT_THAT(source.feature_names, ElementsAre("age", "colour=blue", "colour=red"));
    EXPECT_THAT(row(source, 0), ElementsAre(1.5F, 0.0F, 1.0F));
    EXPECT_THAT(row(source, 1), ElementsAre(-20.0F, 1.0F, 0.0F));
    EXPECT_THAT(row(source, 2), ElementsAre(3.0F, 0.0F, 1.0F));
    EXPECT_EQ(source.problem, (Problem{.task = Task::classification, .classes = 2, .feature_shape = {3}}));
    EXPECT_THAT(source.class_names, ElementsAre("no", "yes"));
    EXPECT_THAT(source.rows.labels, ElementsAre(0, 1, 0));
}

TEST_F(ImportCsv, DropFirstLeavesOutOneCategory) {
    write("a.csv", "colour,y\nred,no\nblue,yes\ngreen,no\n");
    settings_.drop_first = true;
    const Source source = import();
    EXPECT_THAT(source.feature_names, ElementsAre("colour=green", "colour=red"));
    EXPECT_THAT(row(source, 1), ElementsAre(0.0F, 0.0F));
    EXPECT_THAT(row(source, 2), ElementsAre(1.0F, 0.0F));
}

TEST_F(ImportCsv, DropFirstLeavesNothingOfOneCategory) {
    write("a.csv", "same,colour,y\nx,red,no\nx,blue,yes\n");
    settings_.drop_first = true;
    const Source source = import();
    EXPECT_THAT(source.feature_names, ElementsAre("colour=red"));
    EXPECT_THAT(source.rows.floats, ElementsAre(1.0F, 0.0F));
}

// A file that lacks a category still has its feature, and columns may stand in another order.
TEST_F(ImportCsv, CategoriesAreAgreedOverFiles) {
    write("north.csv", "colour,size,y\nred,1,a\nred,2,b\n");
    write("south.csv", "y,size,colour\nb,3,blue\n");
    settings_.file_is_silo = true;
    const Source source = import();
    EXPECT_THAT(source.feature_names, ElementsAre("colour=blue", "colour=red", "size"));
    EXPECT_THAT(row(source, 0), ElementsAre(0.0F, 1.0F, 1.0F));
    EXPECT_THAT(row(source, 2), ElementsAre(1.0F, 0.0F, 3.0F));
    EXPECT_THAT(source.silo_of_row, ElementsAre("north", "north", "south"));
}

TEST_F(ImportCsv, NumbersCanBeNamedCategories) {
    write("a.csv", "ward,y\n10,a\n9,b\n10,a\n");
    settings_.categorical = {"ward"};
    const Source source = import();
    EXPECT_THAT(source.feature_names, ElementsAre("ward=9", "ward=10"));
    settings_.categorical.clear();
    EXPECT_THAT(import().feature_names, ElementsAre("ward"));
}

// Another file may write the same code with a point.
TEST_F(ImportCsv, NumbersWrittenInTwoWaysAreOneCategory) {
    write("a.csv", "ward,y\n2,0\n10,1\n");
    write("b.csv", "ward,y\n2.0,1.0\n07,0.0\n");
    settings_.categorical = {"ward"};
    settings_.task = "binary";
    const Source source = import();
    EXPECT_THAT(source.feature_names, ElementsAre("ward=2", "ward=07", "ward=10"));
    EXPECT_EQ(row(source, 2), row(source, 0));
    EXPECT_THAT(source.class_names, ElementsAre("0", "1"));
    EXPECT_THAT(source.rows.labels, ElementsAre(0, 1, 1, 0));
}

TEST_F(ImportCsv, AWordInANumericColumnIsNamed) {
    write("a.csv", "age,y\n1,a\n2x,b\n");
    settings_.numeric = {"age"};
    EXPECT_THAT(refusal<DataError>(), HasSubstr("a.csv line 3: \"2x\" in the column \"age\" is not a number"));
    settings_.numeric.clear();
    EXPECT_THAT(import().feature_names, ElementsAre("age=1", "age=2x"));
}

TEST_F(ImportCsv, ManyWordsAreNotTakenForCategories) {
    std::string text = "name,age,y\n";
    for (int i = 0; i < 60; ++i) text += "n" + std::to_string(i) + ",1," + (i % 2 == 0 ? "a" : "b") + "\n";
    write("a.csv", text);
    EXPECT_THAT(refusal<DataError>(), HasSubstr("column \"name\" has 60 different values"));
    settings_.ignore = {"name"};
    EXPECT_THAT(import().feature_names, ElementsAre("age"));
}

TEST_F(ImportCsv, MissingValuesAreAnErrorUnlessChosen) {
    write("a.csv", "age,colour,y\n1,red,a\nNA,red,b\n3,?,b\n,blue,a\n5,red,\n6,red,b\n");
    EXPECT_THAT(refusal<DataError>(), HasSubstr("1 of 6 rows have no label (the column \"y\", first in line 6): --missing drop"));
    settings_.missing = MissingPolicy::drop;
    const Source dropped = import();
    EXPECT_EQ(dropped.rows.rows, 2U);
    EXPECT_THAT(notes_, Contains("missing values: dropped 4 of 6 rows"));
    EXPECT_THAT(dropped.feature_names, ElementsAre("age", "colour=red")) << "blue has gone with its row";
}

TEST_F(ImportCsv, MissingFeaturesAreToldWithTheirFirstLines) {
    write("a.csv", "age,colour,y\n1,red,a\nNA,red,b\n3,?,b\n,blue,a\n");
    EXPECT_THAT(refusal<DataError>(), HasSubstr("age 2 (first in line 3), colour 1 (first in line 4): choose --missing drop"));
}

// Two sites often have a table of the same name: pooling them in silence is what a federation must never do.
TEST_F(ImportCsv, TwoFilesAreNeverOneSilo) {
    std::filesystem::create_directory(folder_ / "north");
    std::filesystem::create_directory(folder_ / "south");
    write("north/data.csv", "age,y\n1,a\n2,b\n");
    write("south/data.csv", "age,y\n3,a\n4,b\n");
    settings_.file_is_silo = true;
    EXPECT_THAT(refusal<UsageError>(), HasSubstr("south/data.csv would both be the silo \"data\": rename one"));
    settings_.file_is_silo = false;
    EXPECT_EQ(import().rows.rows, 4U);
    settings_.files[1] = folder_ / "north" / ".." / "north" / "data.csv";
    EXPECT_THAT(refusal<UsageError>(), HasSubstr("are the same file: give it once"));
}

TEST_F(ImportCsv, NumbersThatAreHardlyEverTheSameAreNoClasses) {
    std::string rows = "age,y\n";
    for (int i = 0; i < 60; ++i) rows += fmt::format("{},{}\n", i % 7, i);
    write("a.csv", rows);
    settings_.task = "classification";
    EXPECT_THAT(refusal<DataError>(), HasSubstr("has 60 different numbers in 60 rows"));
    settings_.task = "regression";
    EXPECT_EQ(import().rows.targets.size(), 60U);
}

TEST_F(ImportCsv, TheLabelCannotBeLeftOut) {
    write("a.csv", "age,y\n1,a\n2,b\n");
    settings_.ignore = {"y"};
    EXPECT_THAT(refusal<UsageError>(), HasSubstr("--ignore y"));
    settings_.ignore = {"age"};
    settings_.silo_column = "age";
    EXPECT_THAT(refusal<UsageError>(), HasSubstr("--split by:COLUMN age and --ignore age"));
}

TEST_F(ImportCsv, MeanKeepsRowsForTheSilosToFill) {
    write("a.csv", "age,colour,y\n1,red,a\nNA,red,b\n3,?,b\n8,blue,a\n5,red,\n");
    settings_.missing = MissingPolicy::mean;
    const Source source = import();
    EXPECT_EQ(source.rows.rows, 4U) << "the row without a label is gone";
    EXPECT_TRUE(std::isnan(row(source, 1)[0]));
    EXPECT_TRUE(std::isnan(row(source, 2)[1]));
    EXPECT_TRUE(std::isnan(row(source, 2)[2]));

    std::vector<std::string> notes;
    const std::vector<std::uint32_t> rows{0, 1, 2, 3};
    const Shard shard = cut_shard(source, rows, "s", 0, {.test_fraction = 0.0}, notes);
    EXPECT_THAT(shard.train.floats, ElementsAre(1, 0, 1, /**/ 4, 0, 1, /**/ 3, 0, 1, /**/ 8, 1, 0));
    EXPECT_THAT(notes, ElementsAre("silo s: filled from its own train rows: 1 age (mean 4), 1 colour (most frequent)"));
}

TEST_F(ImportCsv, OtherWordsForMissing) {
    write("a.csv", "age,y\n1,a\n-9,b\n3,b\n4,a\n");
    settings_.missing_values = {"-9"};
    settings_.missing = MissingPolicy::drop;
    EXPECT_EQ(import().rows.rows, 3U);
}

TEST_F(ImportCsv, BinaryLabels) {
    write("a.csv", "age,y\n1,well\n2,ill\n3,well\n");
    settings_.task = "binary";
    const Source source = import();
    EXPECT_EQ(source.problem.task, Task::binary);
    EXPECT_THAT(source.rows.labels, ElementsAre(1, 0, 1));
    EXPECT_THAT(notes_, Contains("label y: ill is 0, well is 1"));
    settings_.positive = "ill";
    EXPECT_THAT(import().rows.labels, ElementsAre(0, 1, 0));
    settings_.positive = "il";
    EXPECT_THAT(refusal<UsageError>(), HasSubstr("did you mean \"ill\"?"));
}

TEST_F(ImportCsv, NumericLabelsNeedATask) {
    write("a.csv", "age,y\n1,10\n2,9\n3,10\n");
    EXPECT_THAT(refusal<UsageError>(), HasSubstr("the label \"y\" is numeric: say --task"));
    settings_.task = "regression";
    EXPECT_THAT(import().rows.targets, ElementsAre(10.0F, 9.0F, 10.0F));
    settings_.task = "classification";
    const Source source = import();
    EXPECT_THAT(source.class_names, ElementsAre("9", "10"));
    EXPECT_THAT(source.rows.labels, ElementsAre(1, 0, 1));
}

TEST_F(ImportCsv, ColumnsForSilosAndSetsAreNoFeatures) {
    write("a.csv", "age,town,part,y\n1,A,train,a\n2,B,test,b\n3,A,validation,b\n");
    settings_.silo_column = "town";
    settings_.set_column = "part";
    const Source source = import();
    EXPECT_THAT(source.feature_names, ElementsAre("age"));
    EXPECT_THAT(source.silo_of_row, ElementsAre("A", "B", "A"));
    EXPECT_THAT(source.split_of_row, ElementsAre(SplitName::train, SplitName::test, SplitName::validation));
    write_text(folder_ / "a.csv", "age,town,part,y\n1,A,trian,a\n2,B,test,b\n");
    EXPECT_THAT(refusal<DataError>(), HasSubstr("a.csv line 2: \"trian\" in the column \"part\""));
}

TEST_F(ImportCsv, WrongNamesAreSaidWithTheNearest) {
    write("a.csv", "age,species,y\n1,a,b\n");
    settings_.label = "specis";
    EXPECT_THAT(refusal<DataError>(), HasSubstr("did you mean \"species\"?"));
    settings_.label = "y";
    settings_.ignore = {"agee"};
    EXPECT_THAT(refusal<DataError>(), HasSubstr("did you mean \"age\"?"));
    settings_.ignore = {};
    settings_.label = "";
    EXPECT_THAT(refusal<UsageError>(), HasSubstr("needs --label"));
}

TEST_F(ImportCsv, FilesWithOtherColumnsAreRefused) {
    write("a.csv", "age,y\n1,a\n2,b\n");
    write("b.csv", "age,weight,y\n1,2,b\n");
    EXPECT_THAT(refusal<DataError>(), HasSubstr("b.csv has a column \"weight\""));
    settings_.ignore = {"weight"};
    EXPECT_EQ(import().rows.rows, 3U);
    settings_.files = {folder_ / "b.csv", folder_ / "a.csv"};
    settings_.ignore = {};
    EXPECT_THAT(refusal<DataError>(), HasSubstr("a.csv has no column \"weight\""));
}

TEST_F(ImportCsv, NothingToLearnIsRefused) {
    write("a.csv", "age,y\n1,a\n2,a\n");
    EXPECT_THAT(refusal<DataError>(), HasSubstr("has one value, a"));
    write_text(folder_ / "a.csv", "y\na\nb\n");
    EXPECT_THAT(refusal<DataError>(), HasSubstr("no column is left"));
    write_text(folder_ / "a.csv", "age,y\n");
    EXPECT_THAT(refusal<DataError>(), HasSubstr("holds no rows"));
    write_text(folder_ / "a.csv", "age,y\ninf,a\n2,b\n");
    EXPECT_THAT(refusal<DataError>(), HasSubstr("line 2: inf in the column \"age\" is not finite"));
}

}  // namespace
}  // namespace silosum

// Silos that do not fit together are told apart before anything is trained.
#include "federation/census.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "support/message_of.hpp"

namespace silosum {
namespace {

Declaration declared(const std::string& name) {
    return {.silo = {name, name + ".h5", "fingerprint of " + name, 10, 2, 3},
            .problem = {.task = Task::classification, .classes = 2, .feature_shape = {3}},
            .class_names = {"ill", "well"},
            .feature_names = {"a", "b", "c"}};
}

std::string refusal(const Declaration& second) {
    Census census;
    census.add(declared("north"));
    return message_of<DataError>([&] { census.add(second); });
}

TEST(Census, AddsUpRowsAndKnowsTheLargest) {
    Census census;
    for (const std::uint64_t rows : {10, 70, 30}) {
        Declaration silo = declared("silo " + std::to_string(rows));
        silo.silo.train = rows;
        census.add(silo);
    }
    EXPECT_EQ(census.largest_train(), 70U);
    EXPECT_EQ(census.totals.train, 110U);
    EXPECT_EQ(census.totals.test, 9U);
    EXPECT_EQ(census.silos[1].name, "silo 70");
}

TEST(Census, RefusesAnotherProblemNamingBothFiles) {
    Declaration other = declared("south");
    other.problem.feature_shape = {4};
    EXPECT_EQ(
        refusal(other),
        "the silos do not fit together: north.h5 is classification into 2 classes of 3 features, but south.h5 is classification into 2 "
        "classes of 4 features; cut all shards from one data set");
}

TEST(Census, RefusesOtherNamesAndTellsTheFirst) {
    Declaration other = declared("south");
    other.feature_names[1] = "B";
    EXPECT_NE(refusal(other).find("south.h5 has other names of features than north.h5: number 1 was \"b\", now \"B\""), std::string::npos)
        << refusal(other);
    other = declared("south");
    other.class_names.clear();
    EXPECT_NE(refusal(other).find("other names of classes than north.h5: there were 2, now 0"), std::string::npos) << refusal(other);
}

TEST(Census, RefusesTwoSilosOfOneName) {
    Declaration other = declared("north");
    other.silo.file = "copy.h5";
    EXPECT_EQ(refusal(other), "north.h5 and copy.h5 both say that they are of silo \"north\"; give silos different names");
}

TEST(HostOf, DealsSilosInTurn) {
    EXPECT_EQ(host_of(0, 3), 0);
    EXPECT_EQ(host_of(5, 3), 2);
    EXPECT_EQ(host_of(2, 8), 2);
}

}  // namespace
}  // namespace silosum

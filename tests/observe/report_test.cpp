// A report has what the run folder has: all series, the worst silo, differences of configuration, and what is missing.
#include "observe/report.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace silosum {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::string plain_config =
    "# The configuration of this run\n\n[run]\ndir = /somewhere/one\nrounds = 3\n\n[local]\nlr = 0.3\n\n[exchange]\nsecure = false\n";

std::string plain_round(int round, const std::string& silo, const std::string& hash = "aa") {
    return fmt::format(
        R"({{"round":{0},"participants":3,"trained":2,"train_loss":{1},"train_losses":[{{"silo":"{2}","loss":{1}}},{{"silo":"north","loss":2.5}}],)"
        R"("bytes_sent":1000,"clipped":{0},"range":4,"model_sha256":"{3}{0}","test":{{"overall":{{"rows":9,"loss":0.5,"accuracy":0.75}},)"
        R"("accuracy":{{"mean":0.7,"min":0.625,"max":0.875,"worst":"{2}"}},"loss":{{"mean":0.5,"min":0.25,"max":0.75,"worst":"{2}"}},)"
        R"("silos":[{{"silo":"{2}","rows":5,"loss":0.75,"accuracy":0.625}},{{"silo":"north","rows":4,"loss":0.25,"accuracy":0.875}}]}},)"
        R"("seconds":{{"train":{{"wall":0.002,"cpu":0.001}},"wire":{{"wall":0.001,"cpu":0.001}},"later":{{"wall":0.001,"cpu":0}}}}}})"
        "\n",
        round, 1.0 / round, silo, hash);
}

std::string secure_round(int round, const std::string& hash = "aa") {
    return fmt::format(
        R"({{"round":{0},"participants":3,"trained":3,"train_loss":0.5,"bytes_sent":3000,"clipped":0,"range":4,"model_sha256":"{1}{0}",)"
        R"("test":{{"overall":{{"rows":9,"loss":0.5,"accuracy":0.75}}}},"seconds":{{"keys":{{"wall":0.004,"cpu":0.001}}}}}})"
        "\n",
        round, hash);
}

RunRecord plain_run(const std::string& name, const std::string& silo = "south") {
    return read_run(
        name, plain_config, plain_round(1, silo) + plain_round(2, silo) + plain_round(3, silo),
        R"({"rounds":3,"stop_reason":"","silos":3,"ranks":2,"secure":null,"model_sha256":"aa3","wall_seconds":1.5,"alone":{"south":{"accuracy":0.375}}})");
}

RunRecord secure_run(const std::string& name) {
    return read_run(name, "[run]\nrounds = 3\n[local]\nlr = 0.1\n[exchange]\nsecure = true\n",
                    secure_round(1) + secure_round(2) + secure_round(3, "bb"), R"({"secure":"nobody sees an update"})");
}

TEST(Report, DrawsAllThatARunRecords) {
    const std::string page = report_of({plain_run("one")});
    for (const char* title : {"Loss in training", "Accuracy on test rows", "Loss on test rows", "Time of a round by phase", "Bytes sent",
                              "Participants", "Clipped coordinates"})
        EXPECT_THAT(page, HasSubstr("<figcaption>" + std::string(title)));
    EXPECT_THAT(page, HasSubstr("all silos together from 0.75 at round 1 to 0.75 at 3; worst silo from 0.625 at round 1 to 0.625 at 3"));
    EXPECT_THAT(page, HasSubstr("all silos together from 1 at round 1 to 0.3333 at 3; worst silo from 2.5 at round 1"));
    EXPECT_THAT(page, HasSubstr("sent from 1.00 kB at round 1 to 3.00 kB at 3"));
    EXPECT_THAT(page, HasSubstr("gave an update from 2 at round 1 to 2 at 3; chosen for the round from 3"));
    EXPECT_THAT(page, HasSubstr("coordinates a round from 1 at round 1 to 3 at 3"));
    EXPECT_THAT(page, HasSubstr("train 2.00 ms on average, wire 1.00 ms on average, later 1.00 ms on average"));
    EXPECT_THAT(page, HasSubstr("class=\"band s0\""));
}

TEST(Report, TellsWhatTheRunWas) {
    const std::string page = report_of({plain_run("one")});
    EXPECT_THAT(
        page, AllOf(HasSubstr("<td>done</td>"), HasSubstr("<td>3 of 3</td>"), HasSubstr("<td>3, 2</td>"), HasSubstr("<td>3.00 kB</td>"),
                    HasSubstr("<td>6 in 3 rounds</td>"), HasSubstr("<td>1.50 s</td>"), HasSubstr("<td class=\"hash\">aa3</td>"),
                    HasSubstr("<td>south: accuracy 0.625</td>"), HasSubstr("<th scope=\"row\">local.lr</th><td class=\"hash\">0.3</td>")));
    EXPECT_THAT(page, HasSubstr("<tr><th scope=\"row\">south</th><td class=\"number\">5</td><td class=\"number differs\">0.625</td><td "
                                "class=\"number\">0.75</td><td class=\"number\">3</td><td class=\"number\">0.375</td></tr>"));
    EXPECT_THAT(page, HasSubstr("<td class=\"hash\">aa2</td>"));
}

TEST(Report, LaysRunsOverEachOtherAndListsWhatDiffers) {
    RunRecord other = plain_run("two");
    for (auto& [key, value] : other.configuration) {
        if (key == "local.lr") value = "0.1";
    }
    other.rounds[2]["model_sha256"] = "bb3";
    const std::string page = report_of({plain_run("one"), other});
    EXPECT_THAT(page, HasSubstr("one from 0.75 at round 1 to 0.75 at 3; two from 0.75 at round 1"));
    EXPECT_THAT(page, HasSubstr("up to round 2"));
    const std::string different =
        page.substr(page.find("What differs"), page.find("</table>", page.find("What differs")) - page.find("What differs"));
    EXPECT_THAT(different, HasSubstr("<th scope=\"row\">local.lr</th><td class=\"hash\">0.3</td><td class=\"hash\">0.1</td>"));
    EXPECT_THAT(different, AllOf(Not(HasSubstr("run.dir")), Not(HasSubstr("run.rounds"))));
}

TEST(Report, SaysThatSecureRunsHaveNothingOfSilos) {
    const std::string page = report_of({secure_run("masked")});
    EXPECT_THAT(page, AllOf(HasSubstr("masked summed under masks: nothing of single silos is recorded"), HasSubstr("nobody sees an update"),
                            HasSubstr("keys 4.00 ms on average"), Not(HasSubstr("worst silo")), Not(HasSubstr("class=\"band s0\" d="))));
    EXPECT_THAT(report_of({plain_run("plain"), secure_run("masked")}), HasSubstr("up to round 2"));
}

TEST(Report, NamesStayText) {
    const std::string evil = "</title><script>alert(1)</script><img src=x onerror='y'>";
    RunRecord run = plain_run(evil, "<b onclick=x>south</b>");
    run.configuration.emplace_back("data.<u>", "\"><svg/onload=z>");
    for (auto& round : run.rounds) round["seconds"]["<s>"] = {{"wall", 1}, {"cpu", 1}};
    for (const auto& page : {report_of({run}), report_of({run, plain_run("two")})}) {
        for (const char* tag : {"<script", "<img", "<b ", "<u>", "<svg/", "<s>", "'y'>"}) EXPECT_THAT(page, Not(HasSubstr(tag)));
        EXPECT_THAT(page, HasSubstr("&lt;b onclick=x&gt;south&lt;/b&gt;"));
    }
}

TEST(Report, NeedsNothingFromElsewhere) {
    const std::string page = report_of({plain_run("one"), secure_run("two")});
    for (const char* word : {"http:", "https:", "src=", "@import", "<script", "<iframe"}) EXPECT_THAT(page, Not(HasSubstr(word)));
    EXPECT_THAT(page, HasSubstr("default-src 'none'"));
    EXPECT_THAT(page, testing::StartsWith("<!DOCTYPE html>\n<!-- silosum-report 1 -->\n"));
}

TEST(Report, IsDrawnFromWhatAKilledRunLeaves) {
    const std::string cut = plain_round(3, "south").substr(0, 70);
    const RunRecord run = read_run("killed", plain_config, plain_round(1, "south") + "{]\n" + plain_round(2, "south") + cut, "");
    EXPECT_EQ(run.rounds.size(), 2U);
    const std::string page = report_of({run});
    EXPECT_THAT(page,
                AllOf(HasSubstr("The last line of metrics.jsonl is cut off"), HasSubstr("Damaged lines of metrics.jsonl are left out: 2."),
                      HasSubstr("There is no summary.json"), HasSubstr("<td>2 of 3</td>"), HasSubstr("Loss in training")));
    EXPECT_THAT(plain_run("whole").warnings, IsEmpty());
    const std::string nothing = report_of({read_run("new", plain_config, "", "")});
    EXPECT_THAT(nothing, AllOf(HasSubstr("No round has ended yet"), HasSubstr("<td>0 of 3</td>"), HasSubstr("local.lr"),
                               Not(HasSubstr("<figure>"))));
}

// Numbers that are not there, are null or of another kind leave gaps and empty cells.
TEST(Report, StandsRecordsOfAnotherShape) {
    for (const char* line :
         {R"({"round":1})", R"({"round":1,"train_loss":null,"seconds":3,"test":[1],"train_losses":{"a":1}})",
          R"({"round":1,"train_loss":"x","seconds":{"train":null},"test":{"overall":{"loss":{}},"silos":[3,null]},"model_sha256":4})"}) {
        const std::string page = report_of({read_run("odd", plain_config, std::string(line) + "\n", "[]"), plain_run("one")});
        EXPECT_THAT(page, AllOf(HasSubstr("summary.json is damaged"), Not(HasSubstr("nan"))));
    }
}

}  // namespace
}  // namespace silosum

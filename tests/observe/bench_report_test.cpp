// The page of a benchmark has every line of its files, marks what is not to be believed, and says in one line what is no such file.
#include "observe/bench_report.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "support/message_of.hpp"

namespace silosum {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string line(const std::string& exchange, int ranks, int mebibytes, double seconds, const std::string& more = "") {
    const double bytes = 1048576.0 * mebibytes;
    return fmt::format(R"({{"exchange":"{}","bytes":{:.0f},"parameters":{:.0f},"ranks":{},"silos":{},"dropouts":0.0,"chunk_kib":2048,)"
                       R"("repetitions":6,"min_s":{},"median_s":{},"p99_s":{},"algorithm_bandwidth":{},"bus_bandwidth":1.0,)"
                       R"("of_allreduce":{},"extra_bytes":1000,"phases_cpu_s":{{}}{}}})",
                       exchange, bytes, bytes / 4, ranks, ranks, seconds, seconds, seconds, bytes / seconds, seconds / 0.25, more);
}

std::string file_of(const std::vector<std::string>& lines) {
    return fmt::format(
        R"({{"format":"silosum-bench","version":1,"program":"9.9","instructions":"avx9","placement":"on a desk","lines":[{}]}})",
        fmt::join(lines, ","));
}

const std::string good = R"(,"valid":true)";
const std::string ring = R"(,"ring_bits":32,"wrong_words":0)";

std::vector<std::string> race(int ranks, int mebibytes, const std::string& of_exact = "") {
    const std::string phases =
        R"(,"valid":true,"ring_bits":32,"wrong_words":0,"graph":"complete, 3","phases_cpu_s":{"mask":0.75,"encode":0.25})";
    return {line("allreduce", ranks, mebibytes, 0.25, good),
            line("exact", ranks, mebibytes, 0.125 * ranks, of_exact.empty() ? good + ring : of_exact),
            line("secure", ranks, mebibytes, 0.5 * ranks, phases)};
}

BenchRecord record_of(int ranks, const std::string& of_exact = "") {
    auto lines = race(ranks, 1, of_exact);
    const auto more = race(ranks, 4);
    lines.insert(lines.end(), more.begin(), more.end());
    return read_bench(fmt::format("np{}.json", ranks), file_of(lines));
}

TEST(BenchReport, DrawsCurvesBySizeAndByRanks) {
    const std::string page = bench_report({record_of(2), record_of(4)});
    EXPECT_THAT(
        page,
        HasSubstr("Time by ranks, 4 MiB: allreduce from 250 ms at ranks 2 to 250 ms at 4; exact 32 from 250 ms at ranks 2 to 500 ms at 4; "
                  "secure 32 from 1 s at ranks 2 to 2 s at 4; "));
    EXPECT_THAT(page, HasSubstr("Bandwidth by size, 4 ranks: allreduce from 4.19 MB/s at size 1.05 MB to 16.8 MB/s at 4.19 MB"));
    EXPECT_THAT(
        page,
        HasSubstr("Ratio to MPI_Allreduce by ranks, 1 MiB: allreduce from 1 at ranks 2 to 1 at 4; exact 32 from 1 at ranks 2 to 2 at 4"));
    EXPECT_THAT(page, HasSubstr("Secure over plain by size, 2 ranks: secure 32 from 4 at size 1.05 MB to 4 at 4.19 MB; "));
    EXPECT_THAT(page, HasSubstr("Phases of secure 32 by ranks, 4 MiB: encode 25 on average, mask 75 on average"));
    EXPECT_THAT(page, HasSubstr("Phases at 4 ranks, 4 MiB: encode 250 ms on average, mask 750 ms on average"));
    EXPECT_THAT(page, AllOf(HasSubstr(">1 Mi</text>"), HasSubstr(">4 Mi</text>")));
    EXPECT_THAT(page, AllOf(HasSubstr("on a desk"), HasSubstr("avx9"), HasSubstr("np2.json: 2 ranks, 6 lines")));
}

TEST(BenchReport, OneFileOfOneSizeIsATable) {
    const std::string page = bench_report({read_bench("one.json", file_of(race(4, 1)))});
    EXPECT_THAT(page, Not(HasSubstr("<figure")));
    EXPECT_THAT(page, HasSubstr("<td class=\"number\">500 ms</td>"));
}

TEST(BenchReport, MarksWhatIsNotToBeBelieved) {
    const std::string left_out = R"(,"valid":false,"note":"left <out>")";
    const std::string untimed = R"({"exchange":"-","bytes":4,"parameters":1,"ranks":2,"silos":2)" + left_out + "}";
    BenchRecord noisy = record_of(2, R"(,"ring_bits":32,"wrong_words":7,"valid":false,"note":"not valid: others took 50 %")");
    const std::string page = bench_report({noisy, read_bench("more.json", file_of({untimed}))});
    EXPECT_THAT(page, HasSubstr("class=\"dot hollow s1\""));
    EXPECT_THAT(page, Not(HasSubstr("class=\"dot hollow s0\"")));
    EXPECT_THAT(page, HasSubstr("<td class=\"number differs\">7</td><td class=\"differs\">not valid: others took 50 %</td>"));
    EXPECT_THAT(page, HasSubstr("class=\"warning\">np2.json: 7 wrong words"));
    EXPECT_THAT(page, HasSubstr("left &lt;out&gt;"));
    EXPECT_THAT(bench_report({record_of(2)}), Not(AnyOf(HasSubstr("class=\"dot hollow"), HasSubstr("class=\"warning\""))));
}

TEST(BenchReport, TellsCurvesOfOtherSettingsAndFilesApart) {
    BenchRecord first = record_of(2), second = record_of(2), third = record_of(4);
    second.name = "again.json";
    EXPECT_THAT(bench_report({first, second}), AllOf(HasSubstr("exact 32, np2.json from"), HasSubstr("exact 32, again.json from")));
    for (auto& point : third.points) point.chunk_kib = 64;
    EXPECT_THAT(bench_report({first, third}), AllOf(HasSubstr("exact 32, chunks of 2048 KiB from"),
                                                    HasSubstr("exact 32, chunks of 64 KiB from"), Not(HasSubstr("allreduce, chunks"))));
    third = record_of(4);
    for (auto& point : third.points) point.part_parameters = 262144;
    EXPECT_THAT(bench_report({first, third}), HasSubstr("exact 32, parts of 1 MiB from"));
    third = record_of(4);
    for (auto& point : third.points) point.silos = 2;  // as in the file of 2 ranks
    EXPECT_THAT(bench_report({first, third}),
                AllOf(HasSubstr("exact 32 from 250 ms at ranks 2 to 500 ms at 4"), Not(HasSubstr("2 silos"))));
}

TEST(BenchReport, SaysInOneLineWhatIsNoFileOfABenchmark) {
    const std::string whole = file_of(race(2, 1));
    const auto refused = [](const std::string& text) { return message_of<DataError>([&] { (void)read_bench("f.json", text); }); };
    EXPECT_THAT(refused(whole.substr(0, whole.size() - 20)), HasSubstr("f.json is cut off, or no JSON at all"));
    EXPECT_THAT(refused(""), HasSubstr("f.json is cut off"));
    EXPECT_THAT(refused(R"({"format":"silosum-run"})"), HasSubstr("f.json is no file of silosum bench"));
    EXPECT_THAT(refused("[1]"), HasSubstr("f.json is no file of silosum bench"));
    EXPECT_THAT(refused(R"({"format":"silosum-bench","version":2,"lines":[1]})"), HasSubstr("is of version 2"));
    EXPECT_THAT(refused(file_of({})), HasSubstr("has no lines"));
    EXPECT_THAT(refused(file_of({"3"})), HasSubstr("f.json, line 1: there is no \"exchange\""));
    EXPECT_THAT(refused(file_of({race(2, 1)[0], line("exact", 2, 0, 1)})), HasSubstr("f.json, line 2: there is no \"bytes\""));
    EXPECT_THAT(refused(file_of({line("exact", 2, 1, -1)})), HasSubstr("f.json, line 1: \"min_s\" is no number from 0 on"));
}

}  // namespace
}  // namespace silosum

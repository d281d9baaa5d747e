// Charts: marks that people read easily, every value where its axis says, and names that stay text.
#include "observe/plot.hpp"

#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "observe/html.hpp"

namespace silosum::plot {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> labels_of(const Axis& axis, double low, double high, bool to_ticks = true) {
    std::vector<std::string> labels;
    const Scale scale(axis, low, high, to_ticks, 5);
    for (const auto& tick : scale.ticks()) labels.push_back(tick.label);
    return labels;
}

std::size_t count_of(const std::string& word, const std::string& text) {
    std::size_t count = 0;
    for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
    return count;
}

TEST(Scale, MarksAreRoundNumbersAroundTheValues) {
    EXPECT_THAT(labels_of({}, 0.13, 0.97), ElementsAre("0", "0.2", "0.4", "0.6", "0.8", "1.0"));
    EXPECT_THAT(labels_of({}, -3, 5), ElementsAre("-4", "-2", "0", "2", "4", "6"));
    EXPECT_THAT(labels_of({.unit = "s"}, 0, 0.0017), ElementsAre("0", "0.5 ms", "1.0 ms", "1.5 ms", "2.0 ms"));
    EXPECT_THAT(labels_of({.unit = "B"}, 0, 9600), ElementsAre("0", "2 kB", "4 kB", "6 kB", "8 kB", "10 kB"));
}

TEST(Scale, WholeNumbersHaveNoMarksBetween) {
    EXPECT_THAT(labels_of({.whole = true}, 1, 3, false), ElementsAre("1", "2", "3"));
    EXPECT_THAT(labels_of({.whole = true, .from_zero = true}, 0, 0), ElementsAre("0", "1"));
}

TEST(Scale, AnAxisEndsAtTheLargestPossibleValue) {
    const Scale all_right({.ceiling = 1}, 1, 1, true, 5);
    EXPECT_EQ(all_right.high(), 1);
    EXPECT_LT(all_right.low(), 1);
    EXPECT_EQ(Scale({.ceiling = 1}, 0.5, 0.97, true, 3).high(), 1);
}

TEST(Scale, DecadesAreEvenlySpaced) {
    const Scale scale({.log = true}, 0.003, 700, true, 5);
    EXPECT_EQ(scale.low(), 0.001);
    EXPECT_EQ(scale.high(), 1000);
    EXPECT_NEAR(scale.share(1), 0.5, 1e-12);
    EXPECT_THAT(labels_of({.log = true}, 0.02, 0.4), ElementsAre("0.02", "0.05", "0.1", "0.2", "0.5"));
    EXPECT_THAT(labels_of({.unit = "B", .log = true}, 1e3, 1e9), ElementsAre("1 kB", "100 kB", "10 MB", "1 GB"));
}

// Values that a run that diverges, or a damaged record, may hold.
TEST(Scale, EveryRangeHasAFewMarksInsideIt) {
    for (const double low : {-1e300, -1.0, 0.0, 1e-300, 1e-9, 1.0, 1e16, 1e300}) {
        for (const double high : {0.0, 1e-300, 1e-9, 1.0, 1 + 1e-15, 1e16, 1e16 + 2, 1e300}) {
            if (high < low) continue;
            for (const bool log : {false, true}) {
                if (log && low <= 0) continue;
                for (const bool to_ticks : {false, true}) {
                    const Scale scale({.log = log}, low, high, to_ticks, 5);
                    SCOPED_TRACE(fmt::format("{} to {} log {} to ticks {}", low, high, log, to_ticks));
                    EXPECT_LE(scale.ticks().size(), 20U);
                    EXPECT_LT(scale.low(), scale.high());
                    EXPECT_GE(scale.share(low), -1e-6);
                    EXPECT_LE(scale.share(high), 1 + 1e-6);
                    for (const auto& tick : scale.ticks()) {
                        EXPECT_GE(scale.share(tick.value), -1e-6);
                        EXPECT_LE(scale.share(tick.value), 1 + 1e-6);
                    }
                }
            }
        }
    }
}

TEST(NumberText, HasThePrefixThatSuitsTheValue) {
    EXPECT_EQ(number_text(0, "s"), "0 s");
    EXPECT_EQ(number_text(240, "B"), "240 B");
    EXPECT_EQ(number_text(9600, "B"), "9.60 kB");
    EXPECT_EQ(number_text(3.2e9, "B"), "3.20 GB");
    EXPECT_EQ(number_text(0.000032, "s"), "32.0 µs");
    EXPECT_EQ(number_text(154, "s"), "154 s");
    EXPECT_EQ(number_text(0.98529, ""), "0.9853");
}

TEST(Escape, LeavesNothingThatBeginsATagAnAttributeOrAnEntity) {
    EXPECT_EQ(html::escape("<script>alert('x') & \"y\"</script>"), "&lt;script&gt;alert(&#39;x&#39;) &amp; &quot;y&quot;&lt;/script&gt;");
    EXPECT_EQ(html::escape("Zürich µ"), "Zürich µ");
    EXPECT_EQ(html::escape(std::string("a\0b\x1b\xff", 5)), "a\uFFFDb\uFFFD\uFFFD");
}

LineChart chart_of(std::vector<Point> points, Axis y = {}) {
    return {.title = "T",
            .note = "",
            .x = {.title = "round"},
            .y = std::move(y),
            .bands = {},
            .lines = {{.name = "a", .points = std::move(points)}}};
}

TEST(LineChart, DrawsEveryPointOfEveryLineAndNamesIt) {
    LineChart chart = chart_of({{1, 0.5}, {2, 0.25}, {3, 0.125}});
    chart.lines.push_back({.name = "b <i>", .points = {{1, 1}, {3, 0}}, .style = 1});
    chart.bands.push_back({.name = "spread", .reaches = {{1, 0, 1}, {3, 0, 0.5}}});
    const std::string svg = draw(chart);
    EXPECT_EQ(count_of("<circle", svg), 5U);
    EXPECT_EQ(count_of("class=\"line s0 d0\"", svg), 2U);  // the line and its key
    EXPECT_EQ(count_of("class=\"line s1 d1\"", svg), 2U);
    EXPECT_EQ(count_of("class=\"band s0\"", svg), 2U);
    EXPECT_THAT(svg, HasSubstr("aria-label=\"T: a from 0.5 at round 1 to 0.125 at 3; b &lt;i&gt; from 1 at round 1 to 0 at 3; "));
    EXPECT_THAT(svg, Not(HasSubstr("<i>")));
}

TEST(LineChart, WritesNoNumberOverAnotherNorBeyondTheEdge) {
    LineChart chart = chart_of({{1, 1}, {95.4, 2}});
    chart.x = {.title = "size", .unit = "B", .log = true};
    for (const double at : {1.0, 4.0, 64.0, 95.4}) chart.x.marks.push_back({at, fmt::format("{} MiB", at)});
    const std::string svg = draw(chart);
    const std::string before = "<text x=\"";
    const std::string between = "\" y=\"228\" text-anchor=\"middle\">";
    double free = 0;
    std::vector<std::string> numbers;
    for (std::size_t at = svg.find(between); at != std::string::npos; at = svg.find(between, at + 1)) {
        const std::size_t from = at + between.size();
        numbers.push_back(svg.substr(from, svg.find('<', from) - from));
        const double half = 3.3 * static_cast<double>(numbers.back().size());
        const double middle = std::stod(svg.substr(svg.rfind(before, at) + before.size()));
        EXPECT_GE(middle - half, free - 0.1) << numbers.back();
        free = middle + half;
        EXPECT_LE(free, 500.1);
    }
    EXPECT_THAT(numbers, ElementsAre("1 MiB", "4 MiB", "64 MiB"));
    EXPECT_EQ(count_of("v5\"/>", svg), 4U) << "each has its mark";
}

TEST(LineChart, LeavesGapsWhereThereIsNoValue) {
    const double nan = std::nan("");
    const std::string svg = draw(chart_of({{1, 1}, {2, 2}, {3, nan}, {4, 4}, {5, std::numeric_limits<double>::infinity()}}));
    EXPECT_EQ(count_of("<circle", svg), 3U);
    const std::size_t line = svg.find("class=\"line s0");
    EXPECT_EQ(count_of("M", svg.substr(line, svg.find("/>", line) - line)), 2U);
    EXPECT_THAT(svg, Not(HasSubstr("nan")));
    EXPECT_THAT(svg, Not(HasSubstr("inf")));
    EXPECT_EQ(count_of("<circle", draw(chart_of({{1, 0}, {2, 1}, {3, 10}}, {.title = "loss", .log = true}))), 2U);
    EXPECT_THAT(draw(chart_of({})), HasSubstr("without values"));
}

TEST(LineChart, KeepsThePeaksOfManyPoints) {
    std::vector<Point> points;
    for (int i = 0; i < 100000; ++i) points.push_back({static_cast<double>(i), i == 54321 ? 1.0 : 0.0});
    const std::string svg = draw(chart_of(points));
    EXPECT_LT(svg.size(), 60000U);
    EXPECT_THAT(svg, HasSubstr(" 28.0"));  // the top of the drawing
}

TEST(StackedChart, LayersStandOnEachOtherAndReachTheirSum) {
    StackedChart chart{.title = "T",
                       .note = "",
                       .x = {.title = "run"},
                       .y = {.title = "time", .unit = "s", .from_zero = true},
                       .edges = {},
                       .labels = {"one", "a name that is far too long for the room of a bar of this chart"},
                       .layers = {{.name = "train", .heights = {1, 2}, .style = 0}, {.name = "wire", .heights = {3, 2}, .style = 8}}};
    const std::string svg = draw(chart);
    // The axis goes from 0 (at 210) to 4 (at 28): bars of 1 and 2 below, both reach 4.
    EXPECT_EQ(count_of("V164.5", svg), 1U);
    EXPECT_EQ(count_of("V119.0", svg), 1U);
    EXPECT_EQ(count_of("V28.0", svg), 2U);
    EXPECT_THAT(svg, HasSubstr("url(#hatch1)"));
    EXPECT_THAT(definitions(), HasSubstr("id=\"hatch1\""));
    EXPECT_THAT(svg, HasSubstr("…<title>a name that is far too long"));
}

}  // namespace
}  // namespace silosum::plot

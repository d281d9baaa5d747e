#include "observe/bench_report.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "base/text.hpp"
#include "base/version.hpp"
#include "observe/axis.hpp"
#include "observe/bench_charts.hpp"
#include "observe/html.hpp"
#include "observe/report.hpp"

namespace silosum {

namespace {

using html::Cell;

constexpr std::size_t most_shown_rows = 24;  // a longer table is folded

double wrong_of(const BenchRecord& record) {
    double wrong = 0;
    for (const BenchPoint& point : record.points) wrong += point.wrong_words.value_or(0);
    return wrong;
}

std::size_t doubtful_of(const BenchRecord& record) {
    return static_cast<std::size_t>(
        std::count_if(record.points.begin(), record.points.end(), [](const BenchPoint& point) { return !point.is_valid; }));
}

Cell count_of_trouble(double count) {
    return {fmt::format("{:.0f}", count), count > 0 ? "number differs" : "number"};
}

std::string files_of(const std::vector<BenchRecord>& records) {
    html::Table table{.caption = "",
                      .columns = {"file", "where it ran", "instructions, device", "silosum", "lines", "not valid", "wrong words"},
                      .rows = {}};
    for (const auto& record : records) {
        table.rows.push_back({{record.name},
                              {record.placement},
                              {record.device.empty() ? record.instructions : record.instructions + ", " + record.device},
                              {record.program},
                              {std::to_string(record.points.size()), "number"},
                              count_of_trouble(static_cast<double>(doubtful_of(record))),
                              count_of_trouble(wrong_of(record))});
    }
    return html::table(table);
}

std::string warnings_of(const std::vector<BenchRecord>& records) {
    std::string html;
    for (const auto& record : records) {
        if (const double wrong = wrong_of(record); wrong > 0) {
            html += html::paragraph(
                fmt::format("{}: {:.0f} wrong words: that machine, its MPI or silosum adds up wrongly.", record.name, wrong), "warning");
        }
    }
    return html;
}

std::vector<Cell> row_of(const BenchPoint& point) {
    const bool is_timed = point.repetitions > 0;
    const auto timed = [&](double value, const char* unit) { return Cell{is_timed ? plot::number_text(value, unit) : "", "number"}; };
    std::vector<Cell> row{{point.ring_bits > 0 ? fmt::format("{} {:.0f}", point.exchange, point.ring_bits) : point.exchange},
                          {short_bytes(point.bytes) + "B", "number"},
                          {fmt::format("{:.0f}", point.parameters), "number"},
                          {fmt::format("{:.0f}", point.silos), "number"},
                          {point.graph},
                          {point.dropouts > 0 ? fmt::format("{:.0f} %", 100 * point.dropouts) : "", "number"},
                          {is_timed ? fmt::format("{:.0f}", point.repetitions) : "", "number"},
                          timed(point.least_s, "s"),
                          timed(point.median_s, "s"),
                          timed(point.p99_s, "s"),
                          timed(point.algorithm_bandwidth, "B/s"),
                          point.bus_bandwidth > 0 ? timed(point.bus_bandwidth, "B/s") : Cell{},
                          {is_timed ? fmt::format("{:.2f}x", point.of_allreduce) : "", "number"},
                          timed(point.extra_bytes, "B"),
                          {"", "number"},
                          {point.note, point.is_valid ? "" : "differs"}};
    if (point.wrong_words) row[14] = count_of_trouble(*point.wrong_words);
    return row;
}

// A table for each file and number of ranks.
std::string lines_of(const BenchRecord& record) {
    std::string html;
    for (auto begin = record.points.begin(); begin != record.points.end();) {
        const auto end = std::find_if(begin, record.points.end(), [&](const BenchPoint& point) { return point.ranks != begin->ranks; });
        html::Table table{.caption = "",
                          .columns = {"exchange", "size", "parameters", "silos", "graph", "leave", "reps", "min", "median", "p99",
                                      "algorithm", "bus", "ratio", "extra", "wrong", ""},
                          .rows = {},
                          .is_dense = true};
        std::transform(begin, end, std::back_inserter(table.rows), row_of);
        const std::string title = fmt::format("{}: {}, {}", record.name, counted(static_cast<std::size_t>(begin->ranks), "rank"),
                                              counted(table.rows.size(), "line"));
        if (table.rows.size() > most_shown_rows) {
            html += html::folded(title, html::table(table));
        } else {
            table.caption = title;
            html += html::table(table);
        }
        begin = end;
    }
    return html;
}

}  // namespace

std::string bench_report(const std::vector<BenchRecord>& records) {
    std::vector<std::string> names;
    for (const auto& record : records) names.push_back(record.name);
    const std::string title = "Aggregation benchmark " + join(names, ", ");
    std::string body = fmt::format("<h1>{}</h1>\n", html::escape(title)) + warnings_of(records) + files_of(records);
    body += html::paragraph(
        "allreduce: MPI_Allreduce of float32, allreduce-kept: the same where freed memory is kept, float: a round of weighted updates in "
        "float32, nccl-allreduce: ncclAllReduce of float32 on GPUs, exact: the exact sum, secure: the same under masks; 32 and 64: bits of "
        "a word. Sizes are those of the vector as float32. A line is not valid where the machine was busy with other things or the median "
        "is not known well enough.",
        "faint");
    body += bench_charts(records) + "<h2>Lines</h2>\n";
    for (const auto& record : records) body += lines_of(record);
    body += fmt::format("<footer>Written by silosum {} from files of silosum bench alone.</footer>\n", version);
    return html::page(report_format, title, body);
}

}  // namespace silosum

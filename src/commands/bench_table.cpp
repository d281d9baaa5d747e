#include "commands/bench_table.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace silosum {

void print_head() {
    fmt::print("{:<16}{:>4}{:>11}{:>14}{:>7}  {:<15}{:>6}{:>5}{:>11}{:>11}{:>11}{:>9}{:>9}{:>8}{:>10}{:>9}\n", "exchange", "ring", "size",
               "parameters", "silos", "graph", "leave", "reps", "min ms", "median ms", "p99 ms", "alg GB/s", "bus GB/s", "ratio", "extra",
               "wrong");
}

namespace {

void print_transport(const BenchmarkLine& line) {
    if (!line.transport.empty()) fmt::print("                by {}\n", line.transport);
}

}  // namespace

void print_line(const BenchmarkLine& line, int ranks, bool with_phases) {
    const bool is_ours = line.ring_bits != 0;
    fmt::print("{:<16}{:>4}{:>11}{:>14}{:>7}  {:<15}{:>6}", line.exchange, is_ours ? std::to_string(line.ring_bits) : "",
               size_text(line.bytes()), line.setting.parameters, is_ours ? line.setting.silos : static_cast<std::uint32_t>(ranks),
               line.graph, line.graph.empty() ? "" : fmt::format("{:.0f} %", 100 * line.setting.dropouts));
    if (line.repetitions > 0) {
        fmt::print("{:>5} {:>10.3f} {:>10.3f} {:>10.3f}{:>9.2f}{:>9.2f}{:>7.2f}x{:>10}{:>9}", line.repetitions, 1e3 * line.least_s,
                   1e3 * line.median_s, 1e3 * line.p99_s, 1e-9 * line.algorithm_bandwidth(), 1e-9 * line.bus_bandwidth(ranks),
                   line.of_allreduce, size_text(static_cast<double>(line.extra_bytes)),
                   line.knows_its_sum ? std::to_string(line.wrong_words) : "-");
    }
    fmt::print("{}{}\n", line.note.empty() ? "" : "  ", line.note);
    const bool had_no_choice = line.transport.find(", as ") != std::string::npos;
    if (with_phases || had_no_choice) print_transport(line);
    if (!with_phases || line.phases.empty()) return;
    std::string text;
    for (const auto& [phase, seconds] : line.phases) text += fmt::format("  {} {:.3f}", phase, 1e3 * seconds);
    fmt::print("                ms of CPU over the cores:{}\n", text);
    if (line.of_limit.empty()) return;
    text.clear();
    for (const auto& [phase, share] : line.of_limit) text += fmt::format("  {} {:.0f} %", phase, 100 * share);
    fmt::print("                of its limit:{}\n", text);
}

std::string csv_of(const nlohmann::json& lines) {
    const std::string head =
        "exchange,ring_bits,bytes,parameters,ranks,silos,graph,dropouts,chunk_kib,repetitions,min_s,median_s,p99_s,algorithm_bandwidth,"
        "bus_bandwidth,of_allreduce,of_nccl_allreduce,extra_bytes,wrong_words,valid,note";
    std::string text = head + "\n";
    for (const auto& line : lines) {
        std::vector<std::string> fields;
        for (const auto& column : split(head, ',')) {
            if (!line.contains(column)) {
                fields.emplace_back();
            } else {
                fields.push_back(csv_field(line[column].is_string() ? line[column].get<std::string>() : line[column].dump()));
            }
        }
        text += join(fields, ",") + "\n";
    }
    return text;
}

}  // namespace silosum

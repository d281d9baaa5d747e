#include "observe/bench_record.hpp"

#include <cmath>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "observe/run_record.hpp"

namespace silosum {

namespace {

using nlohmann::json;

// Reads one line; `where` names it in messages.
class LineReader {
public:
    LineReader(const json& line, std::string where) : line_(line), where_(std::move(where)) {}

    [[nodiscard]] std::string word(const std::string& key) const { return text(line_, "/" + key); }
    [[nodiscard]] double optional_number(const std::string& key) const {
        const double value = number(line_, "/" + key).value_or(0);
        require<DataError>(std::isfinite(value) && value >= 0, "{}: \"{}\" is no number from 0 on; the file is damaged", where_, key);
        return value;
    }
    [[nodiscard]] double positive(const std::string& key) const {
        const double value = optional_number(key);
        require<DataError>(value > 0, "{}: there is no \"{}\"; the file is damaged", where_, key);
        return value;
    }
    [[nodiscard]] BenchPoint point() const {
        BenchPoint point;
        point.exchange = word("exchange");
        require<DataError>(!point.exchange.empty(), "{}: there is no \"exchange\"; the file is damaged", where_);
        point.bytes = positive("bytes");
        point.parameters = positive("parameters");
        point.ranks = positive("ranks");
        point.silos = positive("silos");
        point.ring_bits = optional_number("ring_bits");
        point.dropouts = optional_number("dropouts");
        point.chunk_kib = optional_number("chunk_kib");
        point.part_parameters = optional_number("part_parameters");
        point.graph = word("graph");
        point.cipher = word("cipher");
        point.integrity = word("integrity");
        point.note = word("note");
        point.repetitions = optional_number("repetitions");
        point.is_valid = point.repetitions > 0 && line_.value("valid", json()) == true;
        if (point.repetitions == 0) return point;
        point.least_s = positive("min_s");
        point.median_s = positive("median_s");
        point.p99_s = positive("p99_s");
        point.algorithm_bandwidth = positive("algorithm_bandwidth");
        point.bus_bandwidth = optional_number("bus_bandwidth");  // 0 of one rank
        point.of_allreduce = positive("of_allreduce");
        point.extra_bytes = optional_number("extra_bytes");
        if (line_.contains("wrong_words")) point.wrong_words = optional_number("wrong_words");
        if (const json* phases = entry(line_, "/phases_cpu_s"); phases != nullptr && phases->is_object()) {
            for (const auto& [phase, seconds] : phases->items()) {
                if (seconds.is_number() && std::isfinite(seconds.get<double>())) point.phases[phase] = std::max(0.0, seconds.get<double>());
            }
        }
        return point;
    }

private:
    const json& line_;
    std::string where_;
};

}  // namespace

BenchRecord read_bench(const std::string& name, const std::string& text_of_file) {
    const auto file = json::parse(text_of_file, nullptr, false);
    require<DataError>(!file.is_discarded(),
                       "{} is cut off, or no JSON at all: report takes run folders, and files of silosum bench --json", name);
    require<DataError>(text(file, "/format") == "silosum-bench", "{} is no file of silosum bench --json, but some other JSON", name);
    const double file_version = number(file, "/version").value_or(0);
    require<DataError>(file_version == 1, "{} is of version {}, this program reads 1; make it anew with bench --json", name, file_version);
    BenchRecord record{.name = name,
                       .program = text(file, "/program"),
                       .instructions = text(file, "/instructions"),
                       .device = text(file, "/sums_on"),
                       .placement = text(file, "/placement"),
                       .points = {}};
    const json* lines = entry(file, "/lines");
    require<DataError>(lines != nullptr && lines->is_array() && !lines->empty(), "{} has no lines: nothing was timed", name);
    for (std::size_t i = 0; i < lines->size(); ++i) {
        record.points.push_back(LineReader((*lines)[i], fmt::format("{}, line {}", name, i + 1)).point());
    }
    return record;
}

}  // namespace silosum

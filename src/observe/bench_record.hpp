// What `silosum bench --json` has written, read back for people.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace silosum {

/// One way of one setting; docs/benchmarks.md says how each number is measured. Bytes and seconds.
struct BenchPoint {
    std::string exchange;
    double ring_bits = 0;  // 0: it has none
    double bytes = 0;
    double parameters = 0;
    double ranks = 0;
    double silos = 0;
    double dropouts = 0;
    double chunk_kib = 0;
    double part_parameters = 0;  // 0: the vector was summed as a whole
    std::string graph, cipher, integrity;
    double repetitions = 0;  // 0: it was not timed, `note` says why, and what follows is 0
    double least_s = 0, median_s = 0, p99_s = 0;
    double algorithm_bandwidth = 0, bus_bandwidth = 0;
    double of_allreduce = 0;
    double extra_bytes = 0;
    std::optional<double> wrong_words;  // where the sum is known
    std::map<std::string, double> phases;
    bool is_valid = false;
    std::string note;
};

struct BenchRecord {
    std::string name;
    std::string program, instructions, device, placement;
    std::vector<BenchPoint> points;  // at least one, in the order in which they were timed
};

/// From the text of a file. Throws DataError where it is cut off or damaged, or no such file at all.
[[nodiscard]] BenchRecord read_bench(const std::string& name, const std::string& text);

}  // namespace silosum

// What silos compute and how the global model moves. An algorithm overrides what it needs; the loop does the rest.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/options.hpp"
#include "device/stream.hpp"
#include "round/round.hpp"
#include "round/update.hpp"

namespace silosum {

struct AlgorithmConfig {
    std::string name;
    double lr = 1;

    void add_to(Options& options);
};

class Algorithm {
public:
    virtual ~Algorithm() = default;
    /// Moves this rank's slice of the global model by the aggregate of the same slice, both in the memory of the stream and in the order of
    /// its work. Every rank calls it once a round; no communication.
    virtual void apply(std::span<float> slice, const Aggregate& aggregate, const Round& round, const Stream& stream) = 0;
};

/// One row of the list of algorithms.
struct AlgorithmRow {
    std::string name;
    std::string help;
    std::unique_ptr<Algorithm> (*make)(const AlgorithmConfig&);
};

/// Every algorithm there is; --help, messages and docs/options.md are made from it.
[[nodiscard]] std::span<const AlgorithmRow> algorithm_list();
[[nodiscard]] std::unique_ptr<Algorithm> make_algorithm(const AlgorithmConfig& config);

}  // namespace silosum

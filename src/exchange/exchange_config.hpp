// Settings of the exchange: how updates are encoded, weighted and sent.
#pragma once

#include <cstdint>
#include <string>

#include "base/options.hpp"

namespace silosum {

struct ExchangeConfig {
    std::uint64_t ring_bits = 32;
    std::string range = "from_previous";
    double range_value = 4;
    std::string weights = "samples";
    std::uint64_t max_weight = 0;
    std::string transport = "auto";
    std::uint64_t chunk_kib = 2048;
    double deadline_s = 3600;

    [[nodiscard]] bool is_uniform() const { return weights == "uniform"; }
    void add_to(Options& options);
};

}  // namespace silosum

// Settings of the exchange: how updates are encoded, weighted and sent.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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
    bool secure = false;
    std::string identities = "roster";
    std::string roster;
    std::string keys;
    std::string cipher = "aes128-ctr";
    std::string graph = "auto";
    double corrupt = 1.0 / 3;
    double dropouts = 0.05;
    std::string integrity = "none";
    std::string count_leak = "refuse";
    std::vector<std::string> rehearse_leaving;

    [[nodiscard]] bool is_uniform() const { return weights == "uniform"; }
    void add_to(Options& options);

private:
    void add_secure_to(Options& options);
};

}  // namespace silosum

// What two starts of a program must have in common for one to go on with the run of the other.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace silosum {

/// What must agree for one run to continue another.
struct RunIdentity {
    std::string configuration;  // RunConfig::identity()
    std::string layout;         // Layout::text()
    std::string isa;
    std::vector<std::pair<std::string, std::string>> silos;  // name and fingerprint of the shard, by id

    /// Empty when `other` may continue this run, else what differs, a line each.
    [[nodiscard]] std::vector<std::string> differences(const RunIdentity& other) const;
};

}  // namespace silosum

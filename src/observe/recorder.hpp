// metrics.jsonl: one JSON object a round, appended as rounds end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>

#include "round/observer.hpp"

namespace silosum {

/// Rank 0 writes; on other ranks an empty path makes it do nothing.
class Recorder : public Observer {
public:
    /// Keeps the lines of rounds up to `last_kept_round` of an earlier start and drops later ones, which will be trained again.
    Recorder(std::filesystem::path file, std::uint64_t last_kept_round);
    void after_round(RoundReport& report) override;

private:
    std::filesystem::path file_;
    std::ofstream stream_;
};

}  // namespace silosum

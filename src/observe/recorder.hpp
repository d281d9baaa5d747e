// metrics.jsonl: one JSON object a round, appended as rounds end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>

#include "comm/mpi.hpp"
#include "round/observer.hpp"

namespace silosum {

/// Rank 0 writes; all ranks learn whether it could.
class Recorder : public Observer {
public:
    /// Collective. Keeps the lines of rounds up to `last_kept_round` of an earlier start and drops later ones, which will be trained again.
    Recorder(const Communicator& world, std::filesystem::path file, std::uint64_t last_kept_round, bool hides_silos);
    void after_round(RoundReport& report) override;
    /// Collective. Drops the lines of rounds after this one, also where another rank has become rank 0.
    void go_back_to(std::uint64_t last_kept_round);

private:
    const Communicator& world_;
    bool hides_silos_;
    std::filesystem::path file_;
    std::ofstream stream_;
};

}  // namespace silosum

// Shows a run as it goes: one live line on a terminal, else plain lines that read well in a log.
#pragma once

#include <cstdint>
#include <string>

#include "round/observer.hpp"

namespace silosum {

enum class ProgressStyle { none, lines, live };

/// Rank 0 prints; other ranks are given ProgressStyle::none. Reads what earlier observers put into the record.
class Progress : public Observer {
public:
    Progress(ProgressStyle style, std::uint64_t first_round);
    /// Where another rank has become rank 0.
    void set_style(ProgressStyle style) { style_ = style; }
    void after_round(RoundReport& report) override;

private:
    ProgressStyle style_;
    double started_;
    std::uint64_t first_round_;
    std::string last_evaluation_;
};

/// "1 h 02 min", "3 min 05 s", "4.2 s".
[[nodiscard]] std::string duration_text(double seconds);

}  // namespace silosum

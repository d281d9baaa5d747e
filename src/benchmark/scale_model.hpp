// What a unit of each kind of work costs on a machine, fitted to rounds that were measured, and what other rounds will then take.
// Time of a phase = sum over kinds of seconds a unit x units / cores in use: linear, and the same rates for all rounds.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "benchmark/round_work.hpp"

namespace silosum {

struct MeasuredRound {
    std::string name;
    RoundShape shape;
    double seconds = 0;                    // the median, of the slowest rank
    std::map<std::string, double> phases;  // CPU seconds of all ranks over the cores in use
};

/// Seconds with the interval that should hold 95 of 100.
struct Interval {
    double value = 0;
    double low = 0;
    double high = 0;
};

struct Prediction {
    Interval total;
    std::map<std::string, Interval> phases;
    std::map<std::string, double> beyond;  // how many times the most, or the least, that was measured, by what; 1: within
};

/// Least and most of what was measured.
using Ranges = std::map<std::string, std::array<double, 2>>;

struct HeldOut {
    std::string name;
    double measured = 0;
    double predicted = 0;
    [[nodiscard]] double error() const { return predicted / measured - 1; }
};

/// Between machines. A link that no fit has measured has to be given.
struct Link {
    double bytes_per_second = 0;
    double latency_s = 0;
};

class ScaleModel {
public:
    /// Every phase of every round is a row, weighed by one over the time of its round: relative errors of rounds count, not of phases.
    /// What no phase has of a round's time is its idle time. UsageError where there are too few rounds.
    [[nodiscard]] static ScaleModel fit(const std::vector<MeasuredRound>& rounds);
    /// Fitted to the rounds of fewer ranks than the most, and compared with those of the most: without
    /// rounds of a kind of work that fewer ranks do not have.
    [[nodiscard]] static std::vector<HeldOut> hold_out(const std::vector<MeasuredRound>& rounds);

    /// UsageError where a kind of work was not measured, such as a link between machines.
    [[nodiscard]] Prediction predict(const RoundShape& shape) const;
    /// Seconds of a unit on one core; 0 where it costs too little to be seen.
    [[nodiscard]] double seconds_of(Kind kind) const { return rates_[static_cast<std::size_t>(kind)]; }
    [[nodiscard]] Interval rate(Kind kind) const;
    [[nodiscard]] bool has_measured(Kind kind) const { return is_measured_[static_cast<std::size_t>(kind)]; }
    /// Which kind of work of the round was not measured, and what to do; "" where all were.
    [[nodiscard]] std::string problem_with(const RoundShape& shape) const;

    /// The same model with a link between machines as given.
    [[nodiscard]] ScaleModel with_link(const Link& link) const;
    /// How far the rounds of a model lie from it: the root of the mean square of relative errors.
    [[nodiscard]] double spread() const { return spread_; }
    /// The same for a doubling of ranks beyond what was measured, from held-out rounds.
    void set_doubling(double error) { doubling_ = error; }
    [[nodiscard]] double doubling() const { return doubling_; }
    [[nodiscard]] const Ranges& ranges() const { return ranges_; }
    /// Of the machines that were measured: what RoundShape wants to know.
    [[nodiscard]] double cached_bytes() const { return cached_bytes_; }

    [[nodiscard]] nlohmann::json to_json() const;
    /// DataError where it is none.
    [[nodiscard]] static ScaleModel from_json(const nlohmann::json& json);

private:
    [[nodiscard]] std::map<std::string, double> beyond(const RoundShape& shape) const;

    Work rates_{};
    std::array<bool, kinds> is_measured_{};
    std::vector<std::vector<double>> covariance_ = std::vector<std::vector<double>>(kinds, std::vector<double>(kinds, 0));
    double spread_ = 0;
    double doubling_ = 0;
    double cached_bytes_ = 0;
    Ranges ranges_;
};

/// Of hold_out(): the root of the mean square of the errors.
[[nodiscard]] double root_mean_square(const std::vector<HeldOut>& rounds);

}  // namespace silosum

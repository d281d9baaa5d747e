// Federated averaging, McMahan et al. 2017, algorithm 1, with a server learning rate.
#pragma once

#include "algorithms/algorithm.hpp"

namespace silosum {

/// The server step for one coordinate.
[[nodiscard]] constexpr double fed_avg_step(double x, double lr, double mean) {
    return x + lr * mean;
}

/// x <- x + lr * sum_i w_i (y_i - x) / sum_i w_i over the participants (the paper's erratum on the denominator applies).
class FedAvg : public Algorithm {
public:
    explicit FedAvg(double lr) : lr_(lr) {}
    void apply(std::span<float> slice, const Aggregate& aggregate, const Round& round, const Stream& stream) override;

private:
    double lr_;
};

}  // namespace silosum

// The exchange that adds words as they are: every rank may see the words of the ranks that it receives from.
#pragma once

#include <cstdint>
#include <vector>

#include "exchange/exchange.hpp"

namespace silosum {

class ExactSum final : public Exchange {
public:
    using Exchange::Exchange;

    void begin(const Round& round) override;
    void add(const Update& update) override;
    /// finish() throws the error on all ranks.
    void fail(std::uint32_t silo, const Error& error) override;
    [[nodiscard]] Aggregate finish(const Round& round) override;

private:
    // What every rank tells all others before the sum.
    struct Arrival {
        std::uint64_t failed = 0;
        std::uint64_t gives = 0;
        std::uint64_t weight = 0;
        std::uint64_t present = 0;
        std::uint64_t trained = 0;
        std::uint64_t steps = 0;
        double largest = 0;            // coordinate of an update, for exchange.range = agreed
        std::uint64_t largest_of = 0;  // the silo whose it is
        std::uint64_t silo = 0;        // that gives
        std::uint64_t is_shared = 0;   // whether all can read its update
    };

    static constexpr std::uint64_t nobody = ~std::uint64_t{0};

    void encode(const Waiting& update);
    void remember_not_finite(std::uint32_t silo, std::uint64_t coordinates);
    void remember(const Error& error);
    void agree_on_range(const std::vector<Arrival>& arrivals);
    void sum_words(const std::vector<Arrival>& arrivals, Aggregate& aggregate);
    void sum_updates(const std::vector<Arrival>& arrivals, Aggregate& aggregate);
    void sum_tail(Aggregate& aggregate);

    // Of the round in hand.
    Arrival arrival_;
    std::size_t added_ = 0;  // updates of hosted silos
    std::uint64_t clipped_ = 0;
    std::uint64_t not_finite_ = nobody;  // the first silo of whose update this rank has read that it is not, where it lies
    double largest_mean_ = 0;
};

}  // namespace silosum

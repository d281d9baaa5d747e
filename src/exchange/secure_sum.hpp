// The exchange that adds words under masks: nobody sees the update of another silo, and the bits that come out are those of the plain sum.
// docs/secure-sum.md has the protocol.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "exchange/exchange.hpp"
#include "exchange/secure_attempt.hpp"

namespace silosum {

class SecureSum final : public Exchange {
public:
    /// Collective. As Exchange; setup.hosted are the silos of the group that this rank hosts. The group must outlive it.
    SecureSum(const Communicator& communicator, const ExchangeConfig& config, const ExchangeSetup& setup, SecureGroup& group);

    void begin(const Round& round) override;
    /// A silo whose update is not finite gives nothing to the round, and its rank says so; the round goes on where enough others are left.
    void add(const Update& update) override;
    void fail(std::uint32_t silo, const Error& error) override;
    [[nodiscard]] double deadline_of(std::uint32_t silo, double configured_s) const override;
    /// Refusals are AgreedErrors: the model is as before.
    [[nodiscard]] Aggregate finish(const Round& round) override;

private:
    // What a hosted silo gives to the sums of counters and numbers.
    struct Tail {
        std::uint64_t weight = 0;
        std::uint64_t steps = 0;
        ExactNumbers numbers;
        WordsTag::Value tag{};
    };

    void take_model(const Parameters& global) override;
    [[nodiscard]] SumTerms terms(const Round& round) const;
    [[nodiscard]] std::vector<std::uint64_t> sum_tail(SecureAttempt& attempt, std::uint64_t clipped);
    [[nodiscard]] std::vector<double> numbers_of(const Update& update) const;

    SecureGroup& group_;
    SumTerms terms_;
    std::uint64_t clipped_ = 0;
    std::map<std::uint32_t, Tail> tails_;  // of hosted silos that have trained, by id
};

}  // namespace silosum

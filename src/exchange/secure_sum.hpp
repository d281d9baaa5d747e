// The exchange that adds words under masks: nobody sees the update of another silo, and the bits that come out are those of the plain sum.
// docs/secure-sum.md has the protocol.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "exchange/exchange.hpp"
#include "exchange/secure_attempt.hpp"
#include "privacy/update_tag.hpp"

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
        std::optional<WordsTag::Value> tag{};                // of a streamed update: once it is encoded
        [[nodiscard]] std::vector<std::byte> bytes() const;  // of what is summed of it
    };

    void take_model(const Parameters& model) override;
    [[nodiscard]] SumTerms terms(const Round& round) const;
    void give_nothing(std::uint32_t silo) const;
    [[nodiscard]] static bool is_finite(const Update& update);
    [[nodiscard]] bool tag_now(const Update& update, Tail& tail) const;
    void check_group();
    [[nodiscard]] std::map<std::uint32_t, Gift> all_gifts() const;
    [[nodiscard]] bool is_finite_everywhere(const RingResult& words);
    [[nodiscard]] std::vector<std::uint64_t> sum_tail(SecureAttempt& attempt, std::map<std::uint32_t, Gift>& gifts, std::uint64_t clipped);
    [[nodiscard]] std::vector<double> numbers_of(const Update& update) const;

    SecureGroup& group_;
    SumTerms terms_;
    std::uint64_t clipped_ = 0;
    std::map<std::uint32_t, Tail> tails_;    // of hosted silos that have trained, by id
    std::optional<UpdateTag> streamed_tag_;  // of an update that is tagged while it is encoded
};

}  // namespace silosum

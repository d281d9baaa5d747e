#include "exchange/sums.hpp"

#include <algorithm>
#include <set>
#include <span>

#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "exchange/secure_attempt.hpp"
#include "privacy/message.hpp"

namespace silosum {

namespace {

void add_to(std::vector<std::uint64_t>& sum, const std::vector<std::uint64_t>& words) {
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += words[i];
}

class PlainSums : public Sums {
public:
    PlainSums(const Communicator& communicator, int ranks_per_silo)
        : communicator_(communicator), speaks_(communicator.rank() % ranks_per_silo == 0) {}

    [[nodiscard]] std::vector<std::uint64_t> sum(const std::string&, std::size_t length, const WordsOfSilos& words) override {
        std::vector<std::uint64_t> total(length, 0);
        if (speaks_) {
            for (const auto& [silo, given] : words) add_to(total, given);
        }
        all_reduce_sum(communicator_, std::span<std::uint64_t>(total));
        return total;
    }
    [[nodiscard]] bool hides_silos() const override { return false; }
    [[nodiscard]] bool are_enough(const std::vector<bool>& silos) const override {
        return std::find(silos.begin(), silos.end(), true) != silos.end();
    }

private:
    const Communicator& communicator_;
    bool speaks_;
};

// One vector: how many silos are in the sum, how many of them have given something, and the words.
class SecureSums : public Sums {
public:
    explicit SecureSums(SecureGroup& group) : group_(group) {}

    [[nodiscard]] std::vector<std::uint64_t> sum(const std::string& purpose, std::size_t length, const WordsOfSilos& words) override {
        const SumTerms its_terms = terms(purpose, length);
        std::map<std::uint32_t, Gift> gifts;
        for (const auto& [silo, identity] : group_.identities()) {
            const auto given = words.find(silo);
            if (given == words.end()) {
                gifts[silo] = {false, tag_of_nothing(group_, its_terms, silo)};
                continue;
            }
            WordsTag tag(tag_key_of(group_, its_terms, silo));
            tag.add(std::as_bytes(std::span(given->second)));
            gifts[silo] = {true, tag.value()};
        }
        const Rehearsal nobody_leaves({}, {});
        SecureAttempt attempt(group_, its_terms, gifts, nobody_leaves);
        std::vector<std::uint64_t> total(counters + length, 0);
        for (const auto& [silo, gift] : gifts) {
            if (!attempt.is_member(silo)) continue;
            ++total[0];
            if (!gift.has_trained) continue;
            ++total[1];
            const auto& given = words.at(silo);
            for (std::size_t i = 0; i < length; ++i) total[counters + i] += given[i];
        }
        succeed_on_all(group_.communicator(), [&] {
            attempt.record();
            attempt.hide(vector_id, 0, std::span<std::uint64_t>(total));
        });
        all_reduce_sum(group_.communicator(), std::span<std::uint64_t>(total));
        Unmasking unmasking =
            attempt.finish([&](SumTags&, SumTags& whole) { whole.add(vector_id, 0, std::span<const std::uint64_t>(total)); });
        unmasking.take_off(vector_id, 0, std::span<std::uint64_t>(total));
        succeed_on_all(group_.communicator(), [&] {
            unless_refused(total[0] == attempt.members().count() && total[1] == attempt.members().trained(), Refusal::wrong_sum,
                           "the sum of {} counts {} silos, {} of which gave something, not {} and {}: somebody has given other words",
                           purpose, total[0], total[1], attempt.members().count(), attempt.members().trained());
        });
        return {total.begin() + counters, total.end()};
    }
    [[nodiscard]] bool hides_silos() const override { return true; }
    [[nodiscard]] bool are_enough(const std::vector<bool>& silos) const override {
        const auto domains = domains_of(group_.roster());
        std::set<std::uint32_t> with;
        for (std::size_t silo = 0; silo < silos.size(); ++silo) {
            if (silos[silo]) with.insert(domains.at(silo));
        }
        return with.size() >= group_.plan().least_trained;
    }

private:
    static constexpr std::size_t counters = 2;
    static constexpr std::uint32_t vector_id = 3;

    [[nodiscard]] SumTerms terms(const std::string& purpose, std::size_t length) const {
        SumTerms terms;
        terms.purpose = purpose;
        terms.sums_counts = purpose == row_totals || purpose == train_rows;
        terms.model_hash = group_.model_hash();
        terms.settings_hash = crypto::sha256({MessageWriter().label("silosum/v1/words64").bytes()});
        terms.vectors = {{vector_id, 64, counters + length}};
        return terms;
    }

    SecureGroup& group_;
};

}  // namespace

std::unique_ptr<Sums> make_plain_sums(const Communicator& communicator, int ranks_per_silo) {
    return std::make_unique<PlainSums>(communicator, ranks_per_silo);
}
std::unique_ptr<Sums> make_secure_sums(SecureGroup& group) {
    return std::make_unique<SecureSums>(group);
}

std::vector<double> sum_exactly(Sums& sums, const std::string& purpose, std::size_t length,
                                const std::map<std::uint32_t, ExactNumbers>& of_silos) {
    WordsOfSilos words;
    for (const auto& [silo, numbers] : of_silos) words[silo].assign(numbers.words().begin(), numbers.words().end());
    ExactNumbers total(length);
    const auto sum = sums.sum(purpose, total.words().size(), words);
    std::copy(sum.begin(), sum.end(), total.words().begin());
    return total.values();
}

}  // namespace silosum

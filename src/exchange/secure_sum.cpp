#include "exchange/secure_sum.hpp"

#include <algorithm>
#include <cmath>

#include "comm/agreement.hpp"
#include "privacy/message.hpp"
#include "privacy/model_hash.hpp"

namespace silosum {

namespace {

constexpr std::uint32_t tail_vector = 2;
enum Counter : std::size_t { present, trained, weight, steps, clipped, counters };

}  // namespace

SecureSum::SecureSum(const Communicator& communicator, const ExchangeConfig& config, const ExchangeSetup& setup, SecureGroup& group)
    : Exchange(communicator, config, setup), group_(group) {}

// Ranks that share the memory of the model share the work of hashing it too: who could lie about a leaf could as well change the memory.
void SecureSum::take_model(const Parameters& model) {
    clock_.measure("hash", [&] {
        const Parameters& global = on_host(model);
        const auto values = global.values.span();
        const std::size_t leaves = hash_leaves(values.size());
        const auto& ranks = nodes_->ranks_of(nodes_->of(communicator_.rank()));
        if (!is_shared(values)) return group_.set_model_hash(hash_of_model(values, global.layout.text()));
        const std::size_t place = nodes_->place(communicator_.rank());
        const auto mine = hashes_of_leaves(values, leaves * place / ranks.size(), leaves * (place + 1) / ranks.size());
        std::string text;
        for (const auto& leaf : mine) text.append(reinterpret_cast<const char*>(leaf.data()), leaf.size());
        const auto texts = all_gather_text(communicator_, text);
        std::vector<crypto::Bytes32> all;
        for (const int rank : ranks) {
            const std::string& of_rank = texts[static_cast<std::size_t>(rank)];
            for (std::size_t at = 0; at + sizeof(crypto::Bytes32) <= of_rank.size(); at += sizeof(crypto::Bytes32)) {
                std::copy_n(of_rank.begin() + static_cast<std::ptrdiff_t>(at), sizeof(crypto::Bytes32), all.emplace_back().begin());
            }
        }
        group_.set_model_hash(hash_of_model(values.size(), global.layout.text(), all));
    });
}

void SecureSum::begin(const Round& round) {
    Exchange::begin(round);
    terms_ = terms(round);
    tails_.clear();
    streamed_tag_.reset();
    clipped_ = 0;
}

SumTerms SecureSum::terms(const Round& round) const {
    MessageWriter settings;
    settings.label("silosum/v1/encoding")
        .number(static_cast<std::uint32_t>(plan_.ring_bits))
        .number(static_cast<std::uint64_t>(plan_.silos));
    for (const int log2 : {plan_.range_log2, plan_.weight_log2, plan_.scale_bits}) settings.number(static_cast<std::uint32_t>(log2));
    settings.label(config_.weights)
        .number(static_cast<std::uint64_t>(setup_.parameters))
        .number(static_cast<std::uint64_t>(setup_.numbers));
    for (const std::uint32_t silo : round.participants) settings.number(silo);
    SumTerms terms;
    terms.round = round.number;
    terms.purpose = "update";
    terms.model_hash = group_.model_hash();
    terms.settings_hash = crypto::sha256({settings.bytes()});
    terms.vectors = {{payload_vector, plan_.ring_bits, payload_words(setup_.parameters)},
                     {tail_vector, 64, counters + setup_.numbers * exact_limbs}};
    terms.sums_counts = !config_.is_uniform();
    if (ranks_.each() > 1) {
        // Coordinates, and the check words of chunks that begin at them.
        const std::uint64_t checks = terms.vectors[0].words / 2;
        const std::uint64_t last = (part_.last() + Slices::block - 1) / Slices::block * Slices::block;
        terms.own_words = WordRanges{{part_.first(), part_.last()}, {checks + part_.first(), checks + last}};
    }
    return terms;
}

// Steps, and the weight behind a loss, are sample counts too: where silos count alike, each gives its mean.
std::vector<double> SecureSum::numbers_of(const Update& update) const {
    std::vector<double> numbers = update.numbers;
    if (!config_.is_uniform() || numbers.empty() || numbers.back() == 0) return numbers;
    const double total = numbers.back();
    for (double& number : numbers) number /= total;
    return numbers;
}

double SecureSum::deadline_of(std::uint32_t silo, double configured_s) const {
    if (!ranks_.is_first()) return configured_s;
    constexpr double at_once = 1e-9;
    const auto before = group_.identity_of(silo).ledger.recall(context_of(terms_), tag_of_nothing(group_, terms_, silo));
    const bool gave_nothing = before.state == Recollection::State::entered || before.state == Recollection::State::released;
    if (gave_nothing) return at_once;
    return before.members.empty() ? configured_s : 0;  // shares have left for what it gave: it must give that again
}

void SecureSum::add(const Update& update) {
    if (update.weight == 0) return give_nothing(update.silo);
    Tail tail;
    tail.numbers = ExactNumbers(setup_.numbers);
    if (const auto problem = error_of([&] {
            // Not by how much: sizes are not told.
            require<RuntimeError>(config_.is_uniform() || update.weight <= max_weight_,
                                  "{}, round {}: it has more training samples than exchange.max_weight allows; raise it",
                                  text_of(update.silo), round_);
            check(update, tails_.size());
            tail.weight = weight_of(update);
            if (tail.weight == 0) return;
            if (!config_.is_uniform()) tail.steps = update.steps;
            const auto numbers = numbers_of(update);
            require<RuntimeError>(std::all_of(numbers.begin(), numbers.end(), fits_exact),  // without the value
                                  "{}, round {}: a result of its training is not finite or too large to be summed", text_of(update.silo),
                                  round_);
            tail.numbers.add(numbers, "");
        })) {
        if (!error_) error_ = *problem;
        return;
    }
    if (tail.weight == 0) return;
    // An update that is streamed is tagged, and seen to be finite, while it is encoded: unless the ledger has to be asked about it before.
    // The ranks of a group stream a part each, and look at all of it before, as they must decide alike.
    if (ranks_.each() > 1 && !is_finite(update)) return give_nothing(update.silo);
    if (ranks_.is_first()) {
        if (expected_ == 1 && !group_.identity_of(update.silo).ledger.knows(context_of(terms_))) {
            streamed_tag_.emplace(tag_key_of(group_, terms_, update.silo), update.on_host());
        } else if (!clock_.measure("tag", [&] { return tag_now(update, tail); })) {
            return give_nothing(update.silo);
        }
    }

    Waiting waiting = waiting_for(update, tail.weight);
    if (expected_ == 1) {
        waiting_.push_back(std::move(waiting));
    } else {
        clipped_ += clock_.measure("encode", [&] { return ring_->add(with_settings(waiting)).clipped; });
    }
    tails_[update.silo] = std::move(tail);  // last: from here on it is in the sum
}

std::vector<std::byte> SecureSum::Tail::bytes() const {
    std::vector<std::uint64_t> all{weight, steps};
    all.insert(all.end(), numbers.words().begin(), numbers.words().end());
    const auto bytes = std::as_bytes(std::span(all));
    return {bytes.begin(), bytes.end()};
}

// Of two finite floats the difference is finite; a value less itself is not where the value is not.
bool SecureSum::is_finite(const Update& update) {
    const auto values = update.on_host();
    return std::isfinite(kernels::largest_difference(values.size(), values.data(), values.data()));
}

// False where the update is not finite.
bool SecureSum::tag_now(const Update& update, Tail& tail) const {
    const auto update_values = update.on_host();
    UpdateTag tag(tag_key_of(group_, terms_, update.silo), update_values);
    for (std::size_t first = 0; first < update_values.size(); first += UpdateTag::block) {
        const auto values = update_values.subspan(first, std::min(UpdateTag::block, update_values.size() - first));
        if (!std::isfinite(kernels::largest_difference(values.size(), values.data(), values.data()))) return false;
        tag.see(first, values.size());
    }
    tail.tag = tag.value(tail.bytes());
    return true;
}

// A round that is given up is given up by all, before a word of it has left: without the silo it would be another round.
void SecureSum::fail(std::uint32_t silo, const Error& error) {
    if (error.code() != ExitCode::stopped) return give_nothing(silo);
    if (!error_) error_ = error;
}

// The silo names itself, and does not join. No numbers: what is printed here is read by all.
void SecureSum::give_nothing(std::uint32_t silo) const {
    if (!ranks_.is_first()) return;
    fmt::print(stderr,
               "silosum: warning: {} gives nothing to round {}: its training failed, diverged (lower local.lr, set local.clip_norm, or "
               "standardise the features: data.standardise) or took longer than local.deadline_s\n",
               text_of(silo), round_);
}

Aggregate SecureSum::finish(const Round& /*round*/) {
    clock_.measure("wait", [&] {
        check_group();
        agree_on_error(communicator_, error_);
    });
    Aggregate aggregate = empty_aggregate();
    std::map<std::uint32_t, Gift> gifts;
    std::optional<SecureAttempt> attempt;
    RingResult words;
    do {
        succeed_on_all(communicator_, [&] { gifts = all_gifts(); });
        clock_.measure("keys", [&] { attempt.emplace(group_, terms_, gifts, rehearsal_, attempt ? attempt->attempts() : 0); });
        std::optional<EncodedUpdate> streamed;
        if (!waiting_.empty()) streamed = with_settings(waiting_.front());
        words = ring_->reduce_masked(*attempt, streamed, streamed_tag_ ? &*streamed_tag_ : nullptr, aggregate.mean, clock_);
        bytes_sent_ += words.bytes_sent;
    } while (!is_finite_everywhere(words));
    auto tail = clock_.measure("wire", [&] { return sum_tail(*attempt, gifts, clipped_ + words.count.clipped); });

    std::optional<Unmasking> unmasking;
    clock_.measure("agree", [&] {
        unmasking.emplace(attempt->finish([&](SumTags& part, SumTags& whole) {
            ring_->tag_sums(aggregate.mean, part);
            whole.add(tail_vector, 0, std::span<const std::uint64_t>(tail));
        }));
    });
    unmasking->take_off(tail_vector, 0, std::span<std::uint64_t>(tail));
    const SumMembers& members = attempt->members();
    RingResult result;
    succeed_on_all(communicator_, [&] {
        unless_refused(tail[present] == members.count() && tail[trained] == members.trained() && tail[weight] > 0, Refusal::wrong_sum,
                       "the sum counts {} silos of which {} have trained, not {} and {}: somebody has given other words", tail[present],
                       tail[trained], members.count(), members.trained());
        result = ring_->unmask(*unmasking, members.count(), plan_.unit(), static_cast<double>(tail[weight]), aggregate.mean, clock_);
    });
    aggregate.weight_sum = tail[weight];
    aggregate.present = tail[present];
    aggregate.trained = tail[trained];
    aggregate.steps = tail[steps];
    aggregate.clipped = tail[clipped];
    aggregate.error_bound = plan_.error_bound(aggregate.weight_sum);
    numbers_.clear();
    std::copy(tail.begin() + counters, tail.end(), numbers_.words().begin());
    aggregate.numbers = numbers_.values();
    if (config_.range == "from_previous") choose_next_range(aggregate, result.largest);
    waiting_.clear();
    return aggregate;
}

// A rank that failed alone, as for want of memory, would leave its part of the update out of the sum.
void SecureSum::check_group() {
    if (ranks_.each() == 1) return;
    std::string given;
    for (const auto& [silo, tail] : tails_) given += fmt::format("{} {}\n", silo, tail.weight);
    const auto texts = all_gather_text(ranks_.own(), given);
    const bool is_same = std::all_of(texts.begin(), texts.end(), [&](const auto& text) { return text == given; });
    if (!is_same && !error_) error_ = RuntimeError("the ranks that train a silo together do not all have its update: one of them failed");
}

std::map<std::uint32_t, Gift> SecureSum::all_gifts() const {
    std::map<std::uint32_t, Gift> gifts;
    if (!ranks_.is_first()) return gifts;
    for (const std::uint32_t silo : setup_.hosted) {
        const auto given = tails_.find(silo);
        const bool gives = given != tails_.end();
        gifts[silo] = {gives, gives ? given->second.tag : tag_of_nothing(group_, terms_, silo)};
    }
    return gifts;
}

// Where a streamed update was found not to be, its silo gives nothing: the attempt is given up, with masks that were never taken off, and
// begun anew.
bool SecureSum::is_finite_everywhere(const RingResult& words) {
    const bool is_here = words.count.not_finite > 0;
    if (is_here) {
        const std::uint32_t silo = waiting_.front().silo;
        give_nothing(silo);
        tails_.erase(silo);
        waiting_.clear();
        streamed_tag_.reset();
    }
    return !is_on_any(communicator_, is_here);
}

std::vector<std::uint64_t> SecureSum::sum_tail(SecureAttempt& attempt, std::map<std::uint32_t, Gift>& gifts,
                                               std::uint64_t clipped_coordinates) {
    std::vector<std::uint64_t> sum(counters + setup_.numbers * exact_limbs, 0);
    // What a group has clipped is known to the group alone: only its first rank adds to the sum, under masks.
    all_reduce_sum(ranks_.own(), std::span<std::uint64_t>(&clipped_coordinates, 1));
    if (ranks_.is_first()) {
        sum[present] = attempt.hosted_members();
        sum[clipped] = clipped_coordinates;
    }
    for (const auto& [silo, tail] : tails_) {
        if (!ranks_.is_first()) break;
        ++sum[trained];
        sum[weight] += tail.weight;
        sum[steps] += tail.steps;
        const auto words = tail.numbers.words();
        for (std::size_t i = 0; i < words.size(); ++i) sum[counters + i] += words[i];
    }
    succeed_on_all(communicator_, [&] {
        if (streamed_tag_) {
            const std::uint32_t silo = waiting_.front().silo;
            gifts.at(silo).tag = streamed_tag_->value(tails_.at(silo).bytes());
        }
        attempt.record();
        if (ranks_.is_first()) attempt.hide(tail_vector, 0, std::span<std::uint64_t>(sum));
    });
    all_reduce_sum(communicator_, std::span<std::uint64_t>(sum));
    return sum;
}

}  // namespace silosum

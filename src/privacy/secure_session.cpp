#include "privacy/secure_session.hpp"

#include <algorithm>
#include <map>

#include "privacy/message.hpp"

namespace silosum {

namespace {

constexpr std::string_view keys_label = "silosum/v1/keys";

crypto::Bytes signed_part(const KeysMessage& message, const SecureTerms& terms, const crypto::Bytes32& promises_hash) {
    MessageWriter writer;
    writer.label(keys_label).number(message.silo).field(terms.hash()).field(promises_hash).field(message.nonce);
    writer.field(message.ring_number).field(message.keys.sealing_key).field(message.keys.masking_key).field(message.keys.promise);
    writer.number(static_cast<std::uint8_t>(message.memory.state)).number(static_cast<std::uint32_t>(message.memory.members.size()));
    for (const bool is_in : message.memory.members) writer.number(std::uint8_t{is_in});
    return writer.bytes();
}

MaskGraph make_graph(const SecureTerms& terms, const std::vector<crypto::Bytes32>& ring_numbers) {
    if (terms.is_complete()) return MaskGraph::complete(terms.silos);
    MessageWriter all;
    all.label("silosum/v1/ring");
    for (const auto& number : ring_numbers) all.field(number);
    return MaskGraph::harary(ring_order(terms.silos, crypto::sha256({all.bytes()})), terms.neighbours);
}

}  // namespace

void SecureTerms::check() const {
    const auto need = [](bool condition, const std::string& text) { unless_refused(condition, Refusal::terms, "{}", text); };
    need(silos >= 3, fmt::format("{} silos: each would learn the other's update from the sum; at least 3 are needed", silos));
    need(least_trained >= std::max(3U, corrupt_domains + 2) && least_trained <= silos,
         fmt::format("at least {} silos in a sum: must be from {} (3, and 2 more than the {} that may work together) to {}", least_trained,
                     std::max(3U, corrupt_domains + 2), corrupt_domains, silos));
    need(corrupt >= corrupt_domains, fmt::format("{} silos of {} domains may work together", corrupt, corrupt_domains));
    need(is_complete() || (neighbours >= 2 && neighbours % 2 == 0 && neighbours < silos),
         fmt::format("{} neighbours of {} silos: must be even, or all {}", neighbours, silos, silos - 1));
    // In a sparse graph the planner sees to it: what counts there is how many of a silo's neighbours are corrupt.
    need((threshold > corrupt || !is_complete()) && threshold >= 2 && threshold <= neighbours + 1,
         fmt::format("{} shares open a mask: must be more than the {} silos that may work together, and at most {}", threshold, corrupt,
                     neighbours + 1));
    need(!is_complete() || 2 * threshold > silos + corrupt,
         fmt::format("{} shares open a mask: with {} silos of which {} may lie about who left, more than {} are needed", threshold, silos,
                     corrupt, (silos + corrupt) / 2));
    std::set<std::uint32_t> ids;
    for (const auto& vector : vectors) {
        need(ids.insert(vector.id).second, fmt::format("two vectors of number {}", vector.id));
        need(vector.ring_bits == 32 || vector.ring_bits == 64, fmt::format("words of {} bits: must be 32 or 64", vector.ring_bits));
        const std::uint64_t most_words = kernels::KeyStream::most_bytes / (wants_tags ? 8 : vector.ring_bits / 8);
        need(vector.words <= most_words, fmt::format("a vector of {} words: a key stream has {}", vector.words, most_words));
    }
}

crypto::Bytes32 SecureTerms::hash() const {
    MessageWriter writer;
    writer.label("silosum/v1/terms").number(round).number(attempt).number(silos).number(neighbours).number(threshold).number(corrupt);
    writer.number(corrupt_domains)
        .number(least_members)
        .label(purpose)
        .number(least_trained)
        .number(std::uint8_t{wants_tags})
        .number(static_cast<std::uint32_t>(cipher))
        .field(model_hash)
        .field(roster_hash)
        .field(configuration_hash);
    writer.number(static_cast<std::uint64_t>(vectors.size()));
    for (const auto& vector : vectors) writer.number(vector.id).number(vector.ring_bits).number(vector.words);
    return crypto::sha256({writer.bytes()});
}

crypto::Bytes32 hash_of_roster(const std::vector<RosterEntry>& roster) {
    MessageWriter writer;
    writer.label("silosum/v1/roster");
    for (const auto& entry : roster) {
        writer.number(static_cast<std::uint64_t>(entry.name.size())).field(crypto::view(entry.name)).field(entry.public_key);
        writer.number(static_cast<std::uint64_t>(entry.domain.size())).field(crypto::view(entry.domain));
    }
    return crypto::sha256({writer.bytes()});
}

crypto::Bytes32 promise_of(const SecureTerms& terms, std::uint32_t silo, std::string_view purpose, crypto::View value) {
    MessageWriter writer;
    writer.label("silosum/v1/promise").label(purpose).number(silo).number(terms.round).number(terms.attempt).field(value);
    return crypto::sha256({writer.bytes()});
}

crypto::Bytes32 hash_of_promises(const std::vector<crypto::Bytes>& promises) {
    MessageWriter writer;
    writer.label("silosum/v1/promises");
    for (const auto& promise : promises) writer.number(static_cast<std::uint64_t>(promise.size())).field(promise);
    return crypto::sha256({writer.bytes()});
}

crypto::Bytes sign_keys(const KeysMessage& message, const SecureTerms& terms, const crypto::Bytes32& promises_hash,
                        const crypto::SigningKeys& identity) {
    MessageWriter writer;
    const crypto::Bytes body = signed_part(message, terms, promises_hash);
    return writer.field(body).field(crypto::sign(identity, body)).bytes();
}

SecureSession::SecureSession(SecureTerms terms, const std::vector<RosterEntry>& roster, const std::vector<crypto::Bytes>& promises,
                             const std::vector<crypto::Bytes>& keys)
    : terms_(std::move(terms)), roster_(roster), messages_(keys), keys_(terms_.silos) {
    terms_.check();
    unless_refused(roster.size() == terms_.silos && promises.size() == terms_.silos && keys.size() == terms_.silos, Refusal::bad_message,
                   "{} names in the roster, {} promises and {} keys for {} silos", roster.size(), promises.size(), keys.size(),
                   terms_.silos);
    const crypto::Bytes32 promises_hash = hash_of_promises(promises);
    std::vector<crypto::Bytes32> ring_numbers(terms_.silos);
    std::set<crypto::Bytes32> all_keys;
    std::vector<Recollection> memories;
    MessageWriter transcript;
    transcript.label("silosum/v1/session");
    for (std::uint32_t silo = 0; silo < terms_.silos; ++silo) {
        if (keys[silo].empty() && promises[silo].empty()) {
            memories.emplace_back();
            transcript.number(std::uint64_t{0});
            continue;
        }
        MessageReader reader(keys[silo]);
        KeysMessage message;
        const bool is_labelled = std::ranges::equal(reader.field(keys_label.size() + 1), MessageWriter().label(keys_label).bytes());
        message.silo = reader.number<std::uint32_t>();
        const auto terms_hash = reader.field<32>();
        const auto seen_promises = reader.field<32>();
        message.nonce = reader.field<32>();
        message.ring_number = reader.field<32>();
        message.keys.sealing_key = reader.field<32>();
        message.keys.masking_key = reader.field<32>();
        message.keys.promise = reader.field<32>();
        const auto state = reader.number<std::uint8_t>();
        message.memory.state = static_cast<Recollection::State>(state);
        for (const auto byte : reader.field(reader.number<std::uint32_t>())) message.memory.members.push_back(byte != 0);
        const auto signature = reader.field<64>();
        unless_refused(
            reader.is_whole() && state <= static_cast<std::uint8_t>(Recollection::State::changed) && is_labelled && message.silo == silo,
            Refusal::bad_message, "the keys of {} are no message of it", name(silo));
        // Before the signature is looked at, as this says more: the silo is honest, but in another round or with other settings.
        unless_refused(crypto::equal(terms_hash, terms_.hash()), Refusal::other_terms,
                       "{} has other terms: another round, attempt, global model, roster or configuration than this silo", name(silo));
        unless_refused(crypto::equal(seen_promises, promises_hash), Refusal::other_terms, "{} was shown other promises than this silo",
                       name(silo));
        const crypto::Bytes body = signed_part(message, terms_, promises_hash);
        unless_refused(crypto::verify(roster_[silo].public_key, body, signature), Refusal::bad_signature,
                       "the keys of {} are not signed by the key that the roster has for it", name(silo));
        unless_refused(crypto::equal(promise_of(terms_, silo, "ring", message.ring_number), promises[silo]), Refusal::broken_promise,
                       "{} promised another random number than it shows", name(silo));
        const bool is_new = all_keys.insert(message.keys.sealing_key).second && all_keys.insert(message.keys.masking_key).second;
        unless_refused(is_new, Refusal::repeated_key, "a public key of {} is there twice", name(silo));
        memories.push_back(message.memory);
        keys_[silo] = message.keys;
        ring_numbers[silo] = message.ring_number;
        transcript.number(static_cast<std::uint64_t>(keys[silo].size())).field(keys[silo]);
    }
    remember(memories);
    domains_ = domains_of(roster_);
    id_ = crypto::sha256({transcript.bytes()});
    connect(make_graph(terms_, ring_numbers));
}

// Sums are exact: two over sets that differ by a silo, or before and after a change of its words, show what it gave.
void SecureSession::remember(const std::vector<Recollection>& memories) {
    for (std::uint32_t silo = 0; silo < memories.size(); ++silo) {
        const auto& [state, members] = memories[silo];
        unless_refused(
            state != Recollection::State::changed || members.empty(), Refusal::changed_words,
            "{} gave other words to a sum on this model before: its data or the settings have changed; put them back. Another run.seed "
            "gives "
            "other models; what is summed of the data alone (rows, moments of features) is the same for every seed, and only new "
            "keys begin that anew: the two sums then show what all changes together add up to",
            name(silo));
        if (members.empty()) continue;
        unless_refused(!only_members_ || *only_members_ == members, Refusal::other_members,
                       "silos remember shares for different sums on this model, {} among them", name(silo));
        only_members_ = members;
    }
    if (!only_members_) return;
    unless_refused(only_members_->size() == terms_.silos, Refusal::other_members,
                   "shares for a sum of {} silos on this model have left before, now there are {}", only_members_->size(), terms_.silos);
    for (std::uint32_t silo = 0; silo < memories.size(); ++silo) {
        const auto state = memories[silo].state;
        if (!(*only_members_)[silo] || !is_there(silo)) continue;
        unless_refused(
            state != Recollection::State::changed, Refusal::changed_words,
            "{} gave other words to a sum on this model for which others have released shares; put its data and the settings back",
            name(silo));
        unless_refused(
            state != Recollection::State::nothing, Refusal::changed_words,
            "{} no longer knows what it gave to a sum on this model for which others have released shares: its ledger was lost or is "
            "an old one; put the last one back (beside its key, in exchange.keys)",
            name(silo));
    }
}

bool SecureSession::is_signed(std::uint32_t silo, crypto::View part, const crypto::Signature& signature) const {
    const auto hash = crypto::sha256({identity_of(silo), part, signature});
    if (verified_.contains(hash)) return true;
    if (!crypto::verify(identity_of(silo), part, signature)) return false;
    verified_.insert(hash);
    return true;
}

std::vector<std::uint32_t> domains_of(const std::vector<RosterEntry>& roster) {
    std::map<std::string, std::uint32_t> known;
    std::vector<std::uint32_t> domains;
    std::uint32_t next = 0;
    for (const auto& entry : roster) {
        if (entry.domain.empty()) {
            domains.push_back(next++);
            continue;
        }
        const auto [found, is_new] = known.try_emplace(entry.domain, next);
        if (is_new) ++next;
        domains.push_back(found->second);
    }
    return domains;
}

std::string SecureSession::name(std::uint32_t silo) const {
    return fmt::format("silo \"{}\"", roster_[silo].name);
}

void SecureSession::connect(const MaskGraph& graph) {
    neighbours_.resize(terms_.silos);
    for (std::uint32_t silo = 0; silo < terms_.silos; ++silo) {
        if (!is_there(silo)) continue;
        for (const std::uint32_t neighbour : graph.neighbours(silo)) {
            if (is_there(neighbour)) neighbours_[silo].push_back(neighbour);
        }
        unless_refused(neighbours_[silo].size() + 1 >= terms_.threshold, Refusal::too_few_shares,
                       "{} silos are there to hold shares of {}, {} are needed to open its masks", neighbours_[silo].size() + 1, name(silo),
                       terms_.threshold);
    }
}

std::vector<std::uint32_t> SecureSession::holders_of(std::uint32_t silo) const {
    std::vector<std::uint32_t> holders = neighbours_[silo];
    holders.insert(std::lower_bound(holders.begin(), holders.end(), silo), silo);
    return holders;
}

std::uint32_t SecureSession::place_of(std::uint32_t holder, std::uint32_t dealer) const {
    const auto& neighbours = neighbours_[dealer];
    if (holder != dealer && !std::binary_search(neighbours.begin(), neighbours.end(), holder)) return 0;
    const auto before = std::lower_bound(neighbours.begin(), neighbours.end(), holder) - neighbours.begin();
    return static_cast<std::uint32_t>(before) + (holder > dealer ? 2 : 1);
}

}  // namespace silosum

#include "privacy/secure_session.hpp"

#include <algorithm>
#include <set>

#include "privacy/message.hpp"

namespace silosum {

namespace {

constexpr std::string_view keys_label = "silosum/v1/keys";

crypto::Bytes signed_part(const KeysMessage& message, const SecureTerms& terms, const crypto::Bytes32& promises_hash) {
    MessageWriter writer;
    writer.label(keys_label).number(message.silo).field(terms.hash()).field(promises_hash).field(message.nonce);
    writer.field(message.ring_number).field(message.keys.sealing_key).field(message.keys.masking_key).field(message.keys.promise);
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
    need(least_trained >= std::max(3U, corrupt + 2) && least_trained <= silos,
         fmt::format("at least {} silos in a sum: must be from {} (3, and 2 more than the {} that may work together) to {}", least_trained,
                     std::max(3U, corrupt + 2), corrupt, silos));
    need(is_complete() || (neighbours >= 2 && neighbours % 2 == 0 && neighbours < silos),
         fmt::format("{} neighbours of {} silos: must be even, or all {}", neighbours, silos, silos - 1));
    need(threshold > corrupt && threshold <= neighbours + 1,
         fmt::format("{} shares open a mask: must be more than the {} silos that may work together, and at most {}", threshold, corrupt,
                     neighbours + 1));
    need(!is_complete() || 2 * threshold > silos + corrupt,
         fmt::format("{} shares open a mask: with {} silos of which {} may lie about who left, more than {} are needed", threshold, silos,
                     corrupt, (silos + corrupt) / 2));
    std::set<std::uint32_t> ids;
    for (const auto& vector : vectors) {
        need(ids.insert(vector.id).second, fmt::format("two vectors of number {}", vector.id));
        need(vector.ring_bits == 32 || vector.ring_bits == 64, fmt::format("words of {} bits: must be 32 or 64", vector.ring_bits));
        need(vector.words <= kernels::KeyStream::most_bytes / (vector.ring_bits / 8),
             fmt::format("a vector of {} words: a key stream has {}", vector.words,
                         kernels::KeyStream::most_bytes / (vector.ring_bits / 8)));
    }
}

crypto::Bytes32 SecureTerms::hash() const {
    MessageWriter writer;
    writer.label("silosum/v1/terms").number(round).number(attempt).number(silos).number(neighbours).number(threshold).number(corrupt);
    writer.number(least_trained).number(static_cast<std::uint32_t>(cipher)).field(model_hash).field(roster_hash).field(configuration_hash);
    writer.number(static_cast<std::uint64_t>(vectors.size()));
    for (const auto& vector : vectors) writer.number(vector.id).number(vector.ring_bits).number(vector.words);
    return crypto::sha256({writer.bytes()});
}

crypto::Bytes32 hash_of_roster(const std::vector<RosterEntry>& roster) {
    MessageWriter writer;
    writer.label("silosum/v1/roster");
    for (const auto& entry : roster) {
        writer.number(static_cast<std::uint64_t>(entry.name.size())).field(crypto::view(entry.name)).field(entry.public_key);
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
    MessageWriter transcript;
    transcript.label("silosum/v1/session");
    for (std::uint32_t silo = 0; silo < terms_.silos; ++silo) {
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
        const auto signature = reader.field<64>();
        unless_refused(reader.is_whole() && is_labelled && message.silo == silo, Refusal::bad_message,
                       "the keys of {} are no message of it", name(silo));
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
        keys_[silo] = message.keys;
        ring_numbers[silo] = message.ring_number;
        transcript.field(keys[silo]);
    }
    id_ = crypto::sha256({transcript.bytes()});
    graph_ = make_graph(terms_, ring_numbers);
}

std::string SecureSession::name(std::uint32_t silo) const {
    return fmt::format("silo \"{}\"", roster_[silo].name);
}

std::vector<std::uint32_t> SecureSession::holders_of(std::uint32_t silo) const {
    const auto neighbours = graph_.neighbours(silo);
    std::vector<std::uint32_t> holders(neighbours.begin(), neighbours.end());
    holders.insert(std::lower_bound(holders.begin(), holders.end(), silo), silo);
    return holders;
}

std::uint32_t SecureSession::place_of(std::uint32_t holder, std::uint32_t dealer) const {
    if (holder != dealer && !graph_.are_neighbours(dealer, holder)) return 0;
    const auto neighbours = graph_.neighbours(dealer);
    const auto before = std::lower_bound(neighbours.begin(), neighbours.end(), holder) - neighbours.begin();
    return static_cast<std::uint32_t>(before) + (holder > dealer ? 2 : 1);
}

}  // namespace silosum

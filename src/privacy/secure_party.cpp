#include "privacy/secure_party.hpp"

#include <algorithm>
#include <optional>

#include "privacy/message.hpp"
#include "privacy/unmasking.hpp"

namespace silosum {

namespace {

// coin_promise: all zero where no tags are wanted.
crypto::Bytes entry_part(const SecureSession& session, std::uint32_t silo, bool has_trained, const crypto::Bytes32& coin_promise) {
    MessageWriter writer;
    writer.label("silosum/v1/in").field(session.id()).number(silo).number(std::uint8_t{has_trained}).field(coin_promise);
    return writer.bytes();
}
crypto::Bytes tags_part(const SecureSession& session, std::uint32_t silo, const crypto::Bytes32& coin, crypto::View tags) {
    return MessageWriter().label("silosum/v1/tags").field(session.id()).number(silo).field(coin).field(tags).bytes();
}
crypto::Bytes members_part(const SecureSession& session, const SumMembers& members) {
    MessageWriter writer;
    writer.label("silosum/v1/members").field(session.id());
    for (std::uint32_t silo = 0; silo < members.is_in.size(); ++silo) writer.number(std::uint8_t{members.is_in[silo]});
    return writer.bytes();
}
crypto::Bytes letter_label(const SecureSession& session, std::uint32_t from, std::uint32_t to) {
    return MessageWriter().label("silosum/v1/shares").field(session.id()).number(from).number(to).bytes();
}

}  // namespace

std::uint32_t SumMembers::count() const {
    return static_cast<std::uint32_t>(std::count(is_in.begin(), is_in.end(), true));
}
std::uint32_t SumMembers::trained() const {
    return static_cast<std::uint32_t>(std::count(has_trained.begin(), has_trained.end(), true));
}

SumMembers read_entries(const SecureSession& session, const std::vector<crypto::Bytes>& entries) {
    const SecureTerms& terms = session.terms();
    unless_refused(entries.size() == terms.silos, Refusal::bad_message, "{} entries for {} silos", entries.size(), terms.silos);
    SumMembers members{std::vector<bool>(terms.silos), std::vector<bool>(terms.silos), std::vector<crypto::Bytes32>(terms.silos)};
    for (std::uint32_t silo = 0; silo < terms.silos; ++silo) {
        if (entries[silo].empty()) continue;
        unless_refused(session.is_there(silo), Refusal::bad_message, "{} enters without having sent keys", session.name(silo));
        MessageReader reader(entries[silo]);
        const auto has_trained = reader.number<std::uint8_t>();
        if (terms.wants_tags) members.coin_promises[silo] = reader.field<32>();
        const auto signature = reader.field<64>();
        unless_refused(reader.is_whole() && has_trained <= 1, Refusal::bad_message, "the entry of {} is no message of it",
                       session.name(silo));
        const auto part = entry_part(session, silo, has_trained == 1, members.coin_promises[silo]);
        unless_refused(session.is_signed(silo, part, signature), Refusal::bad_signature,
                       "the entry of {} is not signed by it for this attempt", session.name(silo));
        members.is_in[silo] = true;
        members.has_trained[silo] = has_trained == 1;
    }
    std::set<std::uint32_t> trained_domains;
    for (std::uint32_t silo = 0; silo < terms.silos; ++silo) {
        if (members.has_trained[silo]) trained_domains.insert(session.domain_of(silo));
    }
    unless_refused(trained_domains.size() >= terms.least_trained, Refusal::too_few_trained,
                   "{} silos of different domains have trained, {} must have: a sum over fewer would show what one of them learnt",
                   trained_domains.size(), terms.least_trained);
    unless_refused(!session.only_members() || *session.only_members() == members.is_in, Refusal::other_members,
                   "shares for a sum over other silos on this model have left before: the two sums would show what a silo gave");
    const std::uint32_t least = std::max(terms.least_members, terms.is_complete() ? terms.threshold : 0);
    unless_refused(members.count() >= least, Refusal::too_few_shares, "{} of {} silos are left, {} are needed to open masks",
                   members.count(), terms.silos, least);
    return members;
}

SecureParty::SecureParty(const SecureTerms& terms, std::uint32_t silo, const crypto::SigningKeys& identity, crypto::Entropy& entropy)
    : terms_(terms),
      silo_(silo),
      identity_(identity),
      entropy_(entropy),
      sealing_keys_(crypto::make_exchange_keys(entropy)),
      masking_keys_(crypto::make_exchange_keys(entropy)) {
    terms_.check();
    entropy_.fill(nonce_);
    entropy_.fill(ring_number_);
    entropy_.fill(own_mask_.span());
}

// The step is passed also where it fails: what went wrong once is not tried again with other messages.
void SecureParty::expect(Step step, const char* what) {
    unless_refused(next_ == step, Refusal::out_of_order, "{} twice, too early, or after something was refused", what);
    next_ = Step::done;
}

crypto::Bytes SecureParty::promise() {
    expect(Step::promise, "a promise");
    next_ = Step::keys;
    const auto hash = promise_of(terms_, silo_, "ring", ring_number_);
    return {hash.begin(), hash.end()};
}

crypto::Bytes SecureParty::keys(const std::vector<crypto::Bytes>& promises, const Recollection& memory) {
    expect(Step::keys, "fresh keys");
    KeysMessage message{.silo = silo_, .nonce = nonce_, .ring_number = ring_number_, .keys = {}, .memory = memory};
    message.keys = {sealing_keys_.public_key, masking_keys_.public_key, promise_of(terms_, silo_, "own mask", own_mask_.view())};
    sent_keys_ = sign_keys(message, terms_, hash_of_promises(promises), identity_);
    next_ = Step::shares;
    return sent_keys_;
}

crypto::Secret<32> SecureParty::letter_key(std::uint32_t from, std::uint32_t to) {
    const std::uint32_t other = from == silo_ ? to : from;
    auto known = letter_secrets_.find(other);
    if (known == letter_secrets_.end()) {
        auto shared = crypto::agree(sealing_keys_.secret_key, session_->keys_of(other).sealing_key);
        unless_refused(shared.has_value(), Refusal::zero_secret, "the keys of {} and {} give a secret that everybody knows",
                       session_->name(from), session_->name(to));
        known = letter_secrets_.emplace(other, std::move(*shared)).first;
    }
    crypto::Secret<32> key;
    crypto::derive_key(session_->id(), known->second.view(), letter_label(*session_, from, to), key.span());
    return key;
}

std::vector<Letter> SecureParty::shares(std::shared_ptr<const SecureSession> session) {
    expect(Step::shares, "shares");
    session_ = std::move(session);
    unless_refused(crypto::equal(session_->terms().hash(), terms_.hash()), Refusal::other_terms, "{} is in a session of other terms",
                   session_->name(silo_));
    unless_refused(crypto::equal(session_->keys_message_of(silo_), sent_keys_), Refusal::own_message,
                   "the keys that the others have of {} are not those that it sent", session_->name(silo_));
    const auto holders = session_->holders_of(silo_);
    const auto count = static_cast<std::uint32_t>(holders.size());
    const auto own_mask = shamir::split(own_mask_, terms_.threshold, count, entropy_);
    const auto masking_key = shamir::split(masking_keys_.secret_key, terms_.threshold, count, entropy_);
    std::vector<Letter> letters;
    for (std::size_t i = 0; i < holders.size(); ++i) {
        if (holders[i] == silo_) {
            held_[silo_] = {own_mask[i], masking_key[i]};
            continue;
        }
        crypto::Bytes plain = shamir::to_bytes(own_mask[i]);
        crypto::Bytes second = shamir::to_bytes(masking_key[i]);
        plain.insert(plain.end(), second.begin(), second.end());
        letters.push_back(
            {silo_, holders[i], crypto::seal(letter_key(silo_, holders[i]), plain, letter_label(*session_, silo_, holders[i]))});
        crypto::wipe(plain);
        crypto::wipe(second);
    }
    next_ = Step::take_shares;
    return letters;
}

void SecureParty::take_shares(const std::vector<Letter>& letters) {
    expect(Step::take_shares, "shares of others");
    for (const Letter& letter : letters) {
        unless_refused(letter.to == silo_ && letter.from < terms_.silos && session_->place_of(silo_, letter.from) != 0 &&
                           letter.from != silo_ && !held_.contains(letter.from),
                       Refusal::bad_message, "{} got a letter that is not for it, or a second one", session_->name(silo_));
        auto plain = crypto::open(letter_key(letter.from, silo_), letter.bytes, letter_label(*session_, letter.from, silo_));
        const std::uint32_t place = session_->place_of(silo_, letter.from);
        std::optional<shamir::Share> own_mask;
        std::optional<shamir::Share> masking_key;
        if (plain && plain->size() == 2 * shamir::share_bytes) {
            own_mask = shamir::from_bytes(place, crypto::View(*plain).first(shamir::share_bytes));
            masking_key = shamir::from_bytes(place, crypto::View(*plain).subspan(shamir::share_bytes));
            crypto::wipe(*plain);
        }
        unless_refused(own_mask && masking_key, Refusal::bad_shares, "the shares that {} sent to {} cannot be opened",
                       session_->name(letter.from), session_->name(silo_));
        held_[letter.from] = {*own_mask, *masking_key};
    }
    for (const std::uint32_t neighbour : session_->neighbours_of(silo_)) {
        unless_refused(held_.contains(neighbour), Refusal::bad_shares, "{} sent no shares to {}", session_->name(neighbour),
                       session_->name(silo_));
    }
    letter_secrets_.clear();
    next_ = Step::enter;
}

crypto::Bytes SecureParty::enter(bool has_trained) {
    expect(Step::enter, "an entry");
    masks_.emplace(terms_.vectors, session_->name(silo_));
    add_own_mask(masks_->streams(), *session_, silo_, own_mask_, kernels::Sign::plus);
    for (const std::uint32_t neighbour : session_->neighbours_of(silo_)) {
        add_pair_mask(masks_->streams(), *session_, silo_, neighbour, masking_keys_.secret_key, session_->keys_of(neighbour).masking_key,
                      kernels::Sign::plus);
    }
    MessageWriter writer;
    writer.number(std::uint8_t{has_trained});
    crypto::Bytes32 promised{};
    if (terms_.wants_tags) {
        entropy_.fill(coin_);
        promised = promise_of(terms_, silo_, "coin", coin_);
        writer.field(promised);
    }
    writer.field(crypto::sign(identity_, entry_part(*session_, silo_, has_trained, promised)));
    next_ = Step::masking;
    return writer.bytes();
}

void SecureParty::expect_masking() const {
    unless_refused(next_ == Step::masking, Refusal::out_of_order, "words of {} before it entered, or after it signed who is in the sum",
                   session_ ? session_->name(silo_) : fmt::format("silo {}", silo_));
}

template <class Word>
void SecureParty::mask(std::uint32_t vector, std::uint64_t first, std::span<Word> words, SoonRead next) {
    expect_masking();
    masks_->apply(vector, first, words, next);
}
template void SecureParty::mask(std::uint32_t, std::uint64_t, std::span<std::uint32_t>, SoonRead);
template void SecureParty::mask(std::uint32_t, std::uint64_t, std::span<std::uint64_t>, SoonRead);

void SecureParty::copy_mask_keys(std::uint32_t vector, MaskKeys& to) const {
    expect_masking();
    masks_->streams().copy_keys(vector, to);
}

void SecureParty::claim(std::uint32_t vector, std::uint32_t ring_bits, std::uint64_t first, std::uint64_t size) {
    expect_masking();
    masks_->claim(vector, ring_bits, first, size);
}

crypto::Bytes SecureParty::share_masks(std::uint32_t vector, WordRanges kept) {
    unless_refused(next_ == Step::masking, Refusal::out_of_order, "masks are shared before the silo entered, or after it signed");
    masks_->keep_to(vector, std::move(kept));
    return masks_->streams().keys_of(vector);
}

crypto::Bytes SecureParty::agree_on_members(const std::vector<crypto::Bytes>& entries) {
    // Also a silo whose keys live but that did not enter signs, and gives shares.
    const bool has_entered = next_ == Step::masking;
    if (next_ == Step::enter) next_ = Step::masking;
    expect(Step::masking, "who is in the sum");
    members_ = read_entries(*session_, entries);
    unless_refused(!has_entered || members_.is_in[silo_], Refusal::own_message, "{} has entered, but the others were told that it left",
                   session_->name(silo_));
    masks_.reset();
    const auto signature = crypto::sign(identity_, members_part(*session_, members_));
    next_ = Step::members_agreed;
    // The silo's words are all sent, and its rank's part of the sum is there: the coin may be known.
    MessageWriter message;
    message.field(signature);
    if (terms_.wants_tags && has_entered) message.field(coin_);
    return message.bytes();
}

crypto::Bytes32 coin_of(const SecureSession& session, const SumMembers& members, const std::vector<crypto::Bytes>& signatures) {
    MessageWriter all;
    all.label("silosum/v1/coin").field(session.id());
    for (std::uint32_t silo = 0; silo < session.terms().silos; ++silo) {
        if (!members.is_in[silo]) continue;
        MessageReader reader(silo < signatures.size() ? crypto::View(signatures[silo]) : crypto::View());
        (void)reader.field<64>();
        const auto coin = reader.field<32>();
        unless_refused(reader.is_whole() && crypto::equal(promise_of(session.terms(), silo, "coin", coin), members.coin_promises[silo]),
                       Refusal::broken_promise, "{} did not show the coin that it promised; with tags, all silos in a sum stay to its end",
                       session.name(silo));
        all.number(silo).field(coin);
    }
    return crypto::sha256({all.bytes()});
}

crypto::Bytes SecureParty::tags(const std::vector<crypto::Bytes>& signatures, const SumTags& given, const SumTags& seen) {
    expect(Step::members_agreed, "tags");
    agreed_coin_ = coin_of(*session_, members_, signatures);
    unless_refused(crypto::equal(agreed_coin_, given.coin()) && crypto::equal(agreed_coin_, seen.coin()), Refusal::own_message,
                   "the tags of {} are of another coin than all have thrown", session_->name(silo_));
    MessageWriter message;
    message.field(given.bytes()).field(seen.bytes());
    message.field(crypto::sign(identity_, tags_part(*session_, silo_, agreed_coin_, message.bytes())));
    next_ = Step::tags;
    return message.bytes();
}

crypto::Bytes32 SecureParty::check_tags(const std::vector<crypto::Bytes>& messages, const SumTags& here) {
    expect(Step::tags, "a look at tags");
    SumTags::Rows given(terms_.vectors.size());
    SumTags::Rows seen(terms_.vectors.size());
    here.add_to(seen);
    MessageWriter all;
    all.label("silosum/v1/sums").field(here.bytes());
    const std::size_t size = SumTags::size(*session_);
    for (std::uint32_t silo = 0; silo < terms_.silos; ++silo) {
        if (!members_.is_in[silo]) continue;
        MessageReader reader(silo < messages.size() ? crypto::View(messages[silo]) : crypto::View());
        const auto tags = reader.field(2 * size);
        const auto signature = reader.field<64>();
        const bool is_right = reader.is_whole() && session_->is_signed(silo, tags_part(*session_, silo, agreed_coin_, tags), signature);
        unless_refused(is_right, Refusal::tampered, "{} did not sign tags of the words that it gave", session_->name(silo));
        here.add_to(given, tags.first(size));
        here.add_to(seen, tags.subspan(size));
        all.number(silo).field(tags);
    }
    unless_refused(given == seen, Refusal::tampered,
                   "the sum is not that of the words that the silos sent: words or sums were changed on their way, or a silo or rank lies "
                   "about them");
    next_ = Step::members_and_sums_agreed;
    return seen_sums_ = crypto::sha256({all.bytes()});
}

crypto::Bytes SecureParty::unmask(const std::vector<crypto::Bytes>& signatures) {
    expect(terms_.wants_tags ? Step::members_and_sums_agreed : Step::members_agreed, "shares of masks");
    const crypto::Bytes part = members_part(*session_, members_);
    std::uint32_t agreeing = 0;
    for (std::uint32_t silo = 0; silo < signatures.size() && silo < terms_.silos && agreeing < terms_.quorum(); ++silo) {
        if (signatures[silo].size() != (terms_.wants_tags && members_.is_in[silo] ? 96 : 64)) continue;
        agreeing += session_->is_signed(silo, part, MessageReader(signatures[silo]).field<64>()) ? 1 : 0;
    }
    unless_refused(agreeing >= terms_.quorum(), Refusal::too_few_agree,
                   "{} of {} silos signed the members that {} knows, {} are needed: the others were told of other members", agreeing,
                   terms_.silos, session_->name(silo_), terms_.quorum());
    MessageWriter shares;
    for (const auto& [dealer, held] : held_) {
        const bool is_in = members_.is_in[dealer];
        shares.number(dealer).number(static_cast<std::uint8_t>(is_in ? ShareOf::own_mask : ShareOf::masking_key));
        shares.field(shamir::to_bytes(is_in ? held.own_mask : held.masking_key));
    }
    held_.clear();
    MessageWriter message;
    message.field(shares.bytes()).field(crypto::sign(identity_, release_part(*session_, silo_, seen_sums_, shares.bytes())));
    return message.bytes();
}

}  // namespace silosum

#include "exchange/secure_attempt.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "privacy/count_leak.hpp"
#include "privacy/message.hpp"

namespace silosum {

namespace {

constexpr std::uint32_t most_attempts = 8;

std::string as_text(const crypto::Bytes& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void write_message(MessageWriter& writer, std::uint32_t silo, crypto::View bytes) {
    writer.number(silo).number(static_cast<std::uint32_t>(bytes.size())).field(bytes);
}

// Calls take(silo, message) for all messages in a text; what is none is passed over.
template <class Take>
void read_messages(const std::string& text, Take&& take) {
    MessageReader reader(crypto::view(text));
    while (reader.has_more()) {
        const auto silo = reader.number<std::uint32_t>();
        const auto bytes = reader.field(reader.number<std::uint32_t>());
        if (reader.has_more() || reader.is_whole()) take(silo, bytes);
    }
}

struct WipedKeys {
    std::vector<crypto::Bytes> of_members;
    ~WipedKeys() {
        for (auto& bytes : of_members) crypto::wipe(bytes);
    }
};

}  // namespace

crypto::Bytes32 context_of(const SumTerms& terms) {
    return SumContext{terms.model_hash, terms.purpose}.hash();
}

crypto::Secret<32> tag_key_of(const SecureGroup& group, const SumTerms& terms, std::uint32_t silo) {
    // Under another roster, or with other settings, the same words are another gift.
    const auto salt = crypto::sha256({terms.settings_hash, group.roster_hash()});
    return group.identity_of(silo).tag_key(context_of(terms), salt);
}

// Not that of no words, which would be what all tags under the key are hidden with.
WordsTag::Value tag_of_nothing(const SecureGroup& group, const SumTerms& terms, std::uint32_t silo) {
    WordsTag tag(tag_key_of(group, terms, silo));
    constexpr std::array<std::byte, 1> nothing{};
    tag.add(nothing);
    return tag.value();
}

SecureAttempt::SecureAttempt(SecureGroup& group, const SumTerms& terms, const std::map<std::uint32_t, Gift>& gifts,
                             const Rehearsal& rehearsal, std::uint32_t before)
    : group_(group),
      terms_(terms),
      rehearsal_(rehearsal),
      context_(context_of(terms)),
      gifts_(gifts),
      is_absent_(group.roster().size(), false),
      number_(before) {
    for (std::uint32_t silo = 0; silo < is_absent_.size(); ++silo) is_absent_[silo] = is_gone(silo, LeaveStep::keys);
    run_keys();
    enter();
    if (terms_.own_words) share_masks();
}

bool SecureAttempt::is_gone(std::uint32_t silo, LeaveStep before) const {
    if (is_absent_[silo] || group_.host_of(silo) < 0) return true;
    const auto step = rehearsal_.leaves(terms_.round, silo);
    return step && *step != LeaveStep::train && *step <= before;
}

SecureTerms SecureAttempt::secure_terms(std::uint32_t attempt) const {
    SecureTerms terms = terms_with(group_.plan(), static_cast<std::uint32_t>(group_.roster().size()));
    terms.round = terms_.round;
    terms.attempt = attempt;
    terms.purpose = terms_.purpose;
    terms.cipher = group_.cipher();
    terms.wants_tags = group_.wants_tags();
    terms.model_hash = terms_.model_hash;
    terms.roster_hash = group_.roster_hash();
    terms.configuration_hash = terms_.settings_hash;
    terms.vectors = terms_.vectors;
    return terms;
}

// Each hosted silo that is not gone before this step makes its message; all ranks get the messages of all silos, or the same error.
// prepare: what this rank does before, with the messages of the step before.
template <class Prepare, class Make>
SecureAttempt::Messages SecureAttempt::from_all(LeaveStep before, Prepare&& prepare, Make&& make) {
    const auto texts = texts_from_all(group_.communicator(), [&] {
        prepare();
        MessageWriter mine;
        for (auto& [silo, party] : parties_) {
            if (!is_gone(silo, before)) write_message(mine, silo, make(silo, *party));
        }
        return as_text(mine.bytes());
    });
    Messages messages(is_absent_.size());
    for (std::size_t rank = 0; rank < texts.size(); ++rank) {
        read_messages(texts[rank], [&](std::uint32_t silo, crypto::View bytes) {
            // A rank speaks for its own silos only: no other can make one silent.
            const bool is_its_own = silo < messages.size() && group_.host_of(silo) == static_cast<int>(rank);
            if (is_its_own) messages[silo].assign(bytes.begin(), bytes.end());
        });
    }
    return messages;
}

void SecureAttempt::make_parties() {
    unless_refused(++number_ <= most_attempts, Refusal::too_few_shares, "in {} attempts there was always a silo that left", most_attempts);
    parties_.clear();
    letters_.clear();
    for (auto& [silo, identity] : group_.identities()) {
        if (is_absent_[silo]) continue;
        parties_[silo] = std::make_unique<SecureParty>(secure_terms(number_), silo, identity.keys, group_.entropy_of(silo));
    }
}

// Letters of all silos, of which this rank keeps those to its own. False where a silo that sent keys sent none: it is absent from now on.
bool SecureAttempt::deal(const Messages& promises, const Messages& keys) {
    const auto open = [&] { session_ = std::make_shared<const SecureSession>(secure_terms(number_), group_.roster(), promises, keys); };
    const auto sent = from_all(LeaveStep::shares, open, [&](std::uint32_t, SecureParty& party) {
        MessageWriter all;
        for (const Letter& letter : party.shares(session_)) write_message(all, letter.to, letter.bytes);
        return all.bytes();
    });
    bool are_all_there = true;
    for (std::uint32_t silo = 0; silo < sent.size(); ++silo) {
        if (is_absent_[silo]) continue;
        if (sent[silo].empty()) {
            is_absent_[silo] = true;
            are_all_there = false;
        }
        read_messages(as_text(sent[silo]), [&](std::uint32_t to, crypto::View bytes) {
            if (parties_.contains(to)) letters_.push_back({silo, to, {bytes.begin(), bytes.end()}});
        });
    }
    return are_all_there;
}

void SecureAttempt::run_keys() {
    Messages promises;
    Messages keys;
    do {
        promises = from_all(
            LeaveStep::keys, [&] { make_parties(); }, [](std::uint32_t, SecureParty& party) { return party.promise(); });
        keys = from_all(
            LeaveStep::keys, [] {},
            [&](std::uint32_t silo, SecureParty& party) {
                const Ledger& ledger = group_.identity_of(silo).ledger;
                return party.keys(promises, ledger.knows(context_) ? ledger.recall(context_, tag_of(silo)) : Recollection());
            });
    } while (!deal(promises, keys));
}

void SecureAttempt::enter() {
    const auto take_shares = [&] {
        for (auto& [silo, party] : parties_) {
            std::vector<Letter> own;
            for (const Letter& letter : letters_) {
                if (letter.to == silo) own.push_back(letter);
            }
            party->take_shares(own);
        }
    };
    entries_ = from_all(LeaveStep::entry, take_shares,
                        [&](std::uint32_t silo, SecureParty& party) { return party.enter(gifts_.at(silo).has_trained); });
    const RankGroups& ranks = group_.ranks();
    gives_.assign(static_cast<std::size_t>(ranks.count()), false);
    // Before any word is sent: from there on no rank may stay behind.
    succeed_on_all(group_.communicator(), [&] {
        members_ = read_entries(*session_, entries_);
        for (std::uint32_t silo = 0; silo < members_.is_in.size(); ++silo) {
            if (members_.is_in[silo]) gives_[static_cast<std::size_t>(group_.host_of(silo) / ranks.each())] = true;
        }
        check_members();
    });
    for (auto& [silo, party] : parties_) {
        if (members_.is_in[silo]) hosted_members_.push_back(party.get());
    }
}

// The keys of masks go to the other ranks of the group, which are the silo itself, and nowhere else. A rank that lacked some would send
// words that nothing hides: how many there are follows from what all have signed.
void SecureAttempt::share_masks() {
    const RankGroups& ranks = group_.ranks();
    const std::uint32_t vector = terms_.vectors.front().id;
    WipedKeys keys;
    std::vector<std::uint32_t> members;  // of this group
    for (std::uint32_t silo = 0; silo < members_.is_in.size(); ++silo) {
        if (!members_.is_in[silo] || group_.host_of(silo) != ranks.rank_of(ranks.group())) continue;
        members.push_back(silo);
        keys.of_members.emplace_back(MaskStreams::size_of_keys(1 + session_->neighbours_of(silo).size()));
    }
    succeed_on_all(group_.communicator(), [&] {
        for (std::size_t i = 0; ranks.is_first() && i < members.size(); ++i) {
            const std::size_t size = keys.of_members[i].size();
            keys.of_members[i] = parties_.at(members[i])->share_masks(vector, *terms_.own_words);
            require<RuntimeError>(keys.of_members[i].size() == size, "{} has other masks than with its neighbours",
                                  session_->name(members[i]));
        }
    });
    for (auto& of_member : keys.of_members) broadcast(ranks.own(), std::span<std::uint8_t>(of_member), 0);
    succeed_on_all(group_.communicator(), [&] {
        for (std::size_t i = 0; !ranks.is_first() && i < members.size(); ++i) {
            SiloMasks& masks = shared_masks_.emplace_back(terms_.vectors, session_->name(members[i]));
            masks.streams().add_keys(vector, group_.cipher(), keys.of_members[i]);
            masks.keep_to(vector, *terms_.own_words);
        }
    });
}

void SecureAttempt::check_members() const {
    // Words that a silo has given are in its rank's sum already.
    for (const auto& [silo, gift] : gifts_) {
        unless_refused(!gift.has_trained || members_.is_in[silo], Refusal::other_members, "{} has trained but was left out of the sum",
                       session_->name(silo));
    }
    const auto mute = std::find(gives_.begin(), gives_.end(), false);
    unless_refused(!group_.wants_tags() || mute == gives_.end(), Refusal::tampered,
                   "rank {} has no silo in the sum that could sign tags of its part; with exchange.integrity = tags every rank needs one",
                   group_.ranks().rank_of(static_cast<int>(mute - gives_.begin())));
}

std::vector<std::string> SecureAttempt::counted() const {
    std::vector<std::string> names;
    for (std::uint32_t silo = 0; terms_.sums_counts && silo < members_.has_trained.size(); ++silo) {
        if (members_.has_trained[silo]) names.push_back(group_.roster()[silo].name);
    }
    return names;
}

// Each silo looks at the sums that it has released shares for itself, also under other rosters.
void SecureAttempt::check_counts() const {
    if (!terms_.sums_counts || group_.accepts_count_leaks()) return;
    for (const auto& [silo, identity] : group_.identities()) {
        std::map<std::string, std::size_t> columns;
        for (const auto& set : identity.ledger.counted_sets()) {
            for (const auto& mark : set) columns.try_emplace(mark, columns.size());
        }
        for (const auto& entry : group_.roster()) columns.try_emplace(Ledger::mark_of(entry.name), columns.size());
        const auto row_of = [&](const auto& marks) {
            std::vector<bool> row(columns.size());
            for (const auto& mark : marks) row[columns.at(mark)] = true;
            return row;
        };
        SummedSets sets;
        for (const auto& set : identity.ledger.counted_sets()) sets.add(row_of(set));
        std::set<std::string> now;
        for (const auto& name : counted()) now.insert(Ledger::mark_of(name));
        const auto exposed = sets.exposed_by(row_of(now));
        if (!exposed) continue;
        std::string name = "a silo of another roster";
        for (std::uint32_t other = 0; other < group_.roster().size(); ++other) {
            if (columns.at(Ledger::mark_of(group_.roster()[other].name)) == *exposed) name = session_->name(other);
        }
        throw Refused(
            Refusal::counts_leak,
            fmt::format(
                "with the sums before, also of earlier runs with these keys, the sum over these silos would show how many samples {} "
                "has: let all silos take part, or accept it for good with exchange.count_leak = accept",
                name));
    }
}

const WordsTag::Value& SecureAttempt::tag_of(std::uint32_t silo) const {
    const auto& tag = gifts_.at(silo).tag;
    require<RuntimeError>(tag.has_value(), "silo {} has not tagged what it gives", silo);
    return *tag;
}

void SecureAttempt::record() {
    check_counts();
    for (const auto& [silo, party] : parties_) {
        if (!is_gone(silo, LeaveStep::entry)) group_.identities().at(silo).ledger.enter(context_, tag_of(silo));
    }
}

void SecureAttempt::copy_mask_keys(std::uint32_t vector, MaskKeys& to) const {
    for (const SecureParty* party : hosted_members_) party->copy_mask_keys(vector, to);
    for (const SiloMasks& masks : shared_masks_) masks.streams().copy_keys(vector, to);
}

void SecureAttempt::claim(std::uint32_t vector, std::uint32_t ring_bits, std::uint64_t first, std::uint64_t size) {
    for (SecureParty* party : hosted_members_) party->claim(vector, ring_bits, first, size);
    for (SiloMasks& masks : shared_masks_) masks.claim(vector, ring_bits, first, size);
}

template <class Word>
void SecureAttempt::keep(std::uint32_t vector, std::uint64_t first, std::span<const Word> words) {
    Sent<Word> sent{vector, first, {words.begin(), words.end()}};
    if constexpr (sizeof(Word) == 4) {
        sent32_.push_back(std::move(sent));
    } else {
        sent64_.push_back(std::move(sent));
    }
}
template void SecureAttempt::keep(std::uint32_t, std::uint64_t, std::span<const std::uint32_t>);
template void SecureAttempt::keep(std::uint32_t, std::uint64_t, std::span<const std::uint64_t>);

// What the first rank of a group signs is of all of its ranks.
void SecureAttempt::add_tags_of_group(SumTags& given, SumTags& part) const {
    if (group_.ranks().each() == 1) return;
    MessageWriter mine;
    mine.field(given.bytes()).field(part.bytes());
    const auto texts = gather_text(group_.ranks().own(), as_text(mine.bytes()), 0);
    for (std::size_t position = 1; position < texts.size(); ++position) {
        const auto tags = crypto::view(texts[position]);
        given.add(tags.first(tags.size() / 2));
        part.add(tags.subspan(tags.size() / 2));
    }
}

// The first member of a rank signs for all of it; the others sign that they add nothing.
SecureAttempt::Messages SecureAttempt::gather_tags(const Messages& signatures, const TagSums& tag_sums, std::optional<SumTags>& whole) {
    std::optional<SumTags> given;
    std::optional<SumTags> part;
    succeed_on_all(group_.communicator(), [&] {
        const auto coin = coin_of(*session_, members_, signatures);
        for (auto* const tags : {&whole, &given, &part}) tags->emplace(*session_, coin);
        for (const auto& sent : sent32_) given->add(sent.vector, sent.first, std::span(sent.words));
        for (const auto& sent : sent64_) given->add(sent.vector, sent.first, std::span(sent.words));
        tag_sums(*part, *whole);
    });
    add_tags_of_group(*given, *part);
    const SumTags nothing(*session_, whole->coin());
    auto messages = from_all(
        LeaveStep::release, [] {},
        [&](std::uint32_t, SecureParty& party) {
            const bool speaks = &party == hosted_members_.front();
            return party.tags(signatures, speaks ? *given : nothing, speaks ? *part : nothing);
        });
    sent32_.clear();
    sent64_.clear();
    return messages;
}

Unmasking SecureAttempt::finish(const TagSums& tag_sums) {
    const Communicator& world = group_.communicator();
    shared_masks_.clear();  // after R4 no word is masked
    group_.set_releasing(true);
    const auto signatures = from_all(
        LeaveStep::signature, [] {}, [&](std::uint32_t, SecureParty& party) { return party.agree_on_members(entries_); });
    crypto::Bytes32 sums{};
    if (group_.wants_tags()) {
        std::optional<SumTags> whole;
        const auto tags = gather_tags(signatures, tag_sums, whole);
        // On all ranks before any gives shares: one that finds something keeps the others from it.
        succeed_on_all(world, [&] {
            for (auto& [silo, party] : parties_) {
                if (!is_gone(silo, LeaveStep::release)) sums = party->check_tags(tags, *whole);
            }
        });
        broadcast(group_.ranks().own(), std::span<std::uint8_t>(sums), 0);  // those that the parties of this group have looked at
    }
    const auto releases = from_all(
        LeaveStep::release, [] {},
        [&](std::uint32_t silo, SecureParty& party) {
            const auto release = party.unmask(signatures);
            group_.identities().at(silo).ledger.release(context_, members_.is_in, counted());
            return release;
        });
    std::optional<Unmasking> unmasking;
    succeed_on_all(world, [&] { unmasking.emplace(*session_, members_, releases, sums); });
    group_.set_releasing(false);  // what has been given is in the ledgers of all that are left
    if (world.rank() == 0) {
        for (const auto& complaint : unmasking->complaints()) fmt::print(stderr, "silosum: warning: {}\n", complaint);
    }
    return std::move(*unmasking);
}

}  // namespace silosum

// One secure sum over MPI: the parties of this rank's silos take the steps of the protocol with those of all ranks. Plain words never
// leave: they are hidden chunk by chunk, and masks come off the sum only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "exchange/rehearsal.hpp"
#include "exchange/secure_group.hpp"
#include "privacy/unmasking.hpp"

namespace silosum {

/// What is summed, equal on all ranks.
struct SumTerms {
    std::uint64_t round = 0;
    std::string purpose;
    crypto::Bytes32 model_hash{};     // of the bytes that this rank was given
    crypto::Bytes32 settings_hash{};  // of all that decides how words are made
    std::vector<MaskedVector> vectors;
    bool sums_counts = false;  // sample counts are in it: sets of silos are watched
    /// Where all ranks of a group send words of the first vector: those of this rank, unlike on others. Without, the first sends all.
    std::optional<WordRanges> own_words{};
};

/// What a hosted silo gives.
struct Gift {
    bool has_trained = false;
    std::optional<WordsTag::Value> tag{};  // of all that decides its words, under tag_key_of(); there when the ledger is asked or written
};
/// What the ledgers know the sum by.
[[nodiscard]] crypto::Bytes32 context_of(const SumTerms& terms);
/// The key of the tag of what a hosted silo gives to this sum.
[[nodiscard]] crypto::Secret<32> tag_key_of(const SecureGroup& group, const SumTerms& terms, std::uint32_t silo);
[[nodiscard]] WordsTag::Value tag_of_nothing(const SecureGroup& group, const SumTerms& terms, std::uint32_t silo);

class SecureAttempt {
public:
    /// Collective: R0 to the entries of R3; begun anew without a silo that is gone before its shares are out. gifts: by id, of every hosted
    /// silo; they, and the rehearsal, must outlive it. before: attempts at this sum before. Throws the same AgreedError on all ranks where
    /// anything is refused: no share has left then, nor a word.
    SecureAttempt(SecureGroup& group, const SumTerms& terms, const std::map<std::uint32_t, Gift>& gifts, const Rehearsal& rehearsal,
                  std::uint32_t before = 0);

    [[nodiscard]] const SumMembers& members() const { return members_; }
    [[nodiscard]] bool is_member(std::uint32_t silo) const { return members_.is_in[silo]; }
    /// Hosted silos that are in the sum and whose words this rank sends, or some of them.
    [[nodiscard]] std::size_t hosted_members() const { return hosted_members_.size() + shared_masks_.size(); }
    /// By group of ranks: whether it hosts a member.
    [[nodiscard]] const std::vector<bool>& gives() const { return gives_; }
    [[nodiscard]] std::uint32_t attempts() const { return number_; }

    /// Puts the masks of all hosted members on the sum of their words, from `first` on (a multiple of 16). next: what is asked for
    /// meanwhile.
    template <class Word>
    void hide(std::uint32_t vector, std::uint64_t first, std::span<Word> words, SoonRead next = {}) {
        for (SecureParty* party : hosted_members_) party->mask(vector, first, words, next);
        for (SiloMasks& masks : shared_masks_) masks.apply(vector, first, words, next);
        if (group_.wants_tags() && hosted_members() > 0) keep<Word>(vector, first, words);
    }
    /// The same for words in the memory of a GPU: the keys of all those masks, and each range of words before it is masked there. Not where
    /// tags are wanted.
    void copy_mask_keys(std::uint32_t vector, MaskKeys& to) const;
    void claim(std::uint32_t vector, std::uint32_t ring_bits, std::uint64_t first, std::uint64_t size);
    /// Writes to the ledgers what the hosted silos give, by the tags of their gifts: before the last of their words leaves. Throws Refused
    /// where the sum would show the count of a silo. Local.
    void record();
    /// Adds the tags of masked sums: of this rank's part of those that are spread over ranks, and of those that it has as a whole.
    using TagSums = std::function<void(SumTags& part, SumTags& whole)>;
    /// Collective: R4 to R6, after the last word. What takes the masks off the sums. tag_sums is called where tags are wanted, with the
    /// masks still on. Throws the same AgreedError on all ranks.
    [[nodiscard]] Unmasking finish(const TagSums& tag_sums);

private:
    using Messages = std::vector<crypto::Bytes>;  // by id of the silo, empty where none

    [[nodiscard]] SecureTerms secure_terms(std::uint32_t attempt) const;
    [[nodiscard]] bool is_gone(std::uint32_t silo, LeaveStep before) const;
    template <class Prepare, class Make>
    [[nodiscard]] Messages from_all(LeaveStep before, Prepare&& prepare, Make&& make);
    [[nodiscard]] bool deal(const Messages& promises, const Messages& keys);
    void make_parties();
    void run_keys();
    void enter();
    void share_masks();
    void check_members() const;
    [[nodiscard]] std::vector<std::string> counted() const;
    void check_counts() const;
    [[nodiscard]] const WordsTag::Value& tag_of(std::uint32_t silo) const;
    void add_tags_of_group(SumTags& given, SumTags& part) const;
    [[nodiscard]] Messages gather_tags(const Messages& signatures, const TagSums& tag_sums, std::optional<SumTags>& whole);
    template <class Word>
    void keep(std::uint32_t vector, std::uint64_t first, std::span<const Word> words);

    SecureGroup& group_;
    SumTerms terms_;
    const Rehearsal& rehearsal_;
    crypto::Bytes32 context_{};
    const std::map<std::uint32_t, Gift>& gifts_;
    std::vector<bool> is_absent_;  // by id: gone before keys or shares
    std::uint32_t number_ = 0;
    std::map<std::uint32_t, std::unique_ptr<SecureParty>> parties_;
    std::shared_ptr<const SecureSession> session_;
    std::vector<Letter> letters_;  // to this rank's silos
    Messages entries_;
    SumMembers members_;
    std::vector<SecureParty*> hosted_members_;
    std::vector<SiloMasks> shared_masks_;  // of the members whose parties are at the first rank of this group
    std::vector<bool> gives_;
    // What this rank has sent, where tags are wanted: which words they choose is known only when all are sent.
    template <class Word>
    struct Sent {
        std::uint32_t vector = 0;
        std::uint64_t first = 0;
        std::vector<Word> words;
    };
    std::vector<Sent<std::uint32_t>> sent32_;
    std::vector<Sent<std::uint64_t>> sent64_;
};

}  // namespace silosum

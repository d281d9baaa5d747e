// One silo's side of a secure sum, step by step: messages in, messages out, no transport. Every step is taken once, in this order;
// the first thing that is wrong throws Refused, and from then on every step does. Secrets are wiped when the party goes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "privacy/secure_session.hpp"
#include "privacy/shamir.hpp"
#include "privacy/silo_masks.hpp"
#include "privacy/sum_tags.hpp"

namespace silosum {

/// A message for one silo only.
struct Letter {
    std::uint32_t from = 0;
    std::uint32_t to = 0;
    crypto::Bytes bytes;
};

/// Who is in the sum, as signed by each of them before its first word.
struct SumMembers {
    std::vector<bool> is_in;
    std::vector<bool> has_trained;
    std::vector<crypto::Bytes32> coin_promises;  // by silo, where tags are wanted
    [[nodiscard]] std::uint32_t count() const;
    [[nodiscard]] std::uint32_t trained() const;
    friend bool operator==(const SumMembers&, const SumMembers&) = default;
};
/// entries[i]: the message of silo i, empty where it has left. Checks signatures and that enough have trained; throws Refused.
[[nodiscard]] SumMembers read_entries(const SecureSession& session, const std::vector<crypto::Bytes>& entries);

/// The coin that all members have thrown together, of their R4 messages. Throws Refused where one is missing or not the promised one.
[[nodiscard]] crypto::Bytes32 coin_of(const SecureSession& session, const SumMembers& members,
                                      const std::vector<crypto::Bytes>& signatures);

class SecureParty {
public:
    /// The silo draws its secrets here. The identity must outlive it.
    SecureParty(const SecureTerms& terms, std::uint32_t silo, const crypto::SigningKeys& identity, crypto::Entropy& entropy);

    /// R0: 32 bytes for everybody.
    [[nodiscard]] crypto::Bytes promise();
    /// R1: for everybody. promises: those of all silos, in order. memory: what the silo's ledger says of this sum.
    [[nodiscard]] crypto::Bytes keys(const std::vector<crypto::Bytes>& promises, const Recollection& memory = {});
    /// R2: a letter for each neighbour. The session was made from the R0 and R1 messages of all.
    [[nodiscard]] std::vector<Letter> shares(std::shared_ptr<const SecureSession> session);
    /// R2: the letters of all neighbours, in any order. One that is missing or wrong ends the attempt: no mask was used yet.
    void take_shares(const std::vector<Letter>& letters);
    /// R3: says that the silo is in the sum: from here on it sends all its words, or the attempt fails. Training is over by now.
    [[nodiscard]] crypto::Bytes enter(bool has_trained);
    /// R3: masks words of a vector of the session from `first` on (a multiple of 16). No word is masked twice, and none after R4.
    /// next: as of MaskStreams::apply().
    template <class Word>
    void mask(std::uint32_t vector, std::uint64_t first, std::span<Word> words, SoonRead next = {});
    /// R3: the same for words in the memory of a GPU: the keys to mask them with there, and each range of words before it is masked.
    void copy_mask_keys(std::uint32_t vector, MaskKeys& to) const;
    void claim(std::uint32_t vector, std::uint32_t ring_bits, std::uint64_t first, std::uint64_t size);
    /// R3: where other ranks of the silo's group send words of a vector: the keys with which they mask them, for MaskStreams::add_keys().
    /// Secret, for those ranks only; to be wiped. kept: the words that mask() still takes here.
    [[nodiscard]] crypto::Bytes share_masks(std::uint32_t vector, WordRanges kept);
    /// R4: for everybody. entries: those of all silos, empty where one has left.
    [[nodiscard]] crypto::Bytes agree_on_members(const std::vector<crypto::Bytes>& entries);
    /// Where tags are wanted, after R4: for everybody. signatures: the R4 messages of all. given: tags of all words that the silo's rank
    /// has sent, seen: of the rank's part of each sum that is spread over ranks; both all zero for all but one of the rank's members.
    [[nodiscard]] crypto::Bytes tags(const std::vector<crypto::Bytes>& signatures, const SumTags& given, const SumTags& seen);
    /// Compares what all have given with all parts of the sums. messages: those of all from tags(). here: tags of the sums that every rank
    /// has as a whole. Throws Refused(tampered). Returns what names tags and sums: releases are signed for it, so that no rank unmasks
    /// others.
    crypto::Bytes32 check_tags(const std::vector<crypto::Bytes>& messages, const SumTags& here);
    /// R5: for everybody: of each silo in the sum a share of its own mask, of each that left a share of its key, never both. signatures:
    /// the R4 messages of all, empty where one is missing.
    [[nodiscard]] crypto::Bytes unmask(const std::vector<crypto::Bytes>& signatures);

private:
    void expect_masking() const;
    enum class Step { promise, keys, shares, take_shares, enter, masking, members_agreed, tags, members_and_sums_agreed, done };
    struct HeldShares {
        shamir::Share own_mask;
        shamir::Share masking_key;
    };
    void expect(Step step, const char* what);
    [[nodiscard]] crypto::Secret<32> letter_key(std::uint32_t from, std::uint32_t to);

    SecureTerms terms_;
    std::uint32_t silo_;
    const crypto::SigningKeys& identity_;
    crypto::Entropy& entropy_;
    Step next_ = Step::promise;

    crypto::Bytes32 nonce_{};
    crypto::Bytes32 ring_number_{};
    crypto::Secret<32> own_mask_;  // b
    crypto::Bytes32 coin_{};       // what this silo throws
    crypto::Bytes32 agreed_coin_{};
    crypto::Bytes32 seen_sums_{};
    crypto::ExchangeKeys sealing_keys_;  // c
    crypto::ExchangeKeys masking_keys_;  // s
    crypto::Bytes sent_keys_;
    std::shared_ptr<const SecureSession> session_;
    std::map<std::uint32_t, crypto::Secret<32>> letter_secrets_;  // by neighbour: one agreement for letters both ways
    std::map<std::uint32_t, HeldShares> held_;                    // by dealer
    std::optional<SiloMasks> masks_;                              // from R3 to R4
    SumMembers members_;
};

}  // namespace silosum

// What everybody knows of one attempt at a secure sum: the terms, each silo's fresh public keys, and who masks against whom.
// The protocol is the double masking of Bonawitz et al. 2017 (ePrint 2017/281), with the graphs of Bell et al. 2020 (ePrint 2020/704):
//   R0 every silo promises a random number      R1 signs it, the terms and its fresh keys    R2 seals shares of its two secrets
//   R3 enters, and sends masked words           R4 signs who is in the sum                    R5 gives one share for each silo
//   (where tags are wanted, R4 shows a coin that R3 promised, and signed tags of the words follow before R5)
//   R6 masks are rebuilt from shares and taken off the sum
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kernels/key_stream.hpp"
#include "privacy/crypto.hpp"
#include "privacy/ledger.hpp"
#include "privacy/mask_graph.hpp"
#include "privacy/refusal.hpp"

namespace silosum {

/// A silo as all silos were told of it beforehand.
struct RosterEntry {
    std::string name;
    crypto::Bytes32 public_key{};  // Ed25519
    std::string domain{};          // silos that one organisation could read count as one; empty: a domain of its own
};
/// The number of each silo's domain, from 0 in order of appearance.
[[nodiscard]] std::vector<std::uint32_t> domains_of(const std::vector<RosterEntry>& roster);
[[nodiscard]] crypto::Bytes32 hash_of_roster(const std::vector<RosterEntry>& roster);

/// A vector that is summed under masks.
struct MaskedVector {
    std::uint32_t id = 0;
    std::uint32_t ring_bits = 32;  // 32 or 64
    std::uint64_t words = 0;
};

/// All that the silos must agree on before any word leaves. Silos are numbered 0 ... silos - 1 in the order of the roster.
struct SecureTerms {
    std::uint64_t round = 0;
    std::uint32_t attempt = 0;
    std::uint32_t silos = 0;
    std::uint32_t neighbours = 0;       // of each silo in the mask graph; silos - 1: complete
    std::uint32_t threshold = 0;        // shares that open a mask
    std::uint32_t least_members = 0;    // silos in a sum: a sparse graph stands no more leavers than it was planned for
    std::uint32_t corrupt = 0;          // the most silos that may work together against the others
    std::uint32_t corrupt_domains = 0;  // and domains
    std::uint32_t least_trained = 3;    // domains in a sum of which a silo has trained
    std::string purpose = "update";     // at most one set of silos is summed for one model and purpose
    bool wants_tags = false;            // of all words, before a share leaves
    kernels::Cipher cipher = kernels::Cipher::aes128_ctr;
    crypto::Bytes32 model_hash{};          // of the bytes of the global model that the silo was given
    crypto::Bytes32 roster_hash{};         // hash_of_roster()
    crypto::Bytes32 configuration_hash{};  // encoding, selection, and whatever else decides the words
    std::vector<MaskedVector> vectors;

    [[nodiscard]] bool is_complete() const { return neighbours + 1 == silos; }
    /// How many must have signed the same set before a share leaves.
    [[nodiscard]] std::uint32_t quorum() const { return std::max(threshold, (silos + corrupt) / 2 + 1); }
    /// Throws Refused(terms) where they protect nobody, each reason in words.
    void check() const;
    [[nodiscard]] crypto::Bytes32 hash() const;
};

struct SilosKeys {
    crypto::Bytes32 sealing_key{};  // c: for shares on their way
    crypto::Bytes32 masking_key{};  // s: for masks between two silos
    crypto::Bytes32 promise{};      // of the secret of its own mask
};

/// The promise of a silo's own mask, and of its number for the order of the ring.
[[nodiscard]] crypto::Bytes32 promise_of(const SecureTerms& terms, std::uint32_t silo, std::string_view purpose, crypto::View value);

struct KeysMessage {
    std::uint32_t silo = 0;
    crypto::Bytes32 nonce{};  // of this start of the silo's program
    crypto::Bytes32 ring_number{};
    SilosKeys keys;
    Recollection memory{};
};
/// R1 as bytes, signed; `promises_hash` is that of all R0 messages in order.
[[nodiscard]] crypto::Bytes sign_keys(const KeysMessage& message, const SecureTerms& terms, const crypto::Bytes32& promises_hash,
                                      const crypto::SigningKeys& identity);
[[nodiscard]] crypto::Bytes32 hash_of_promises(const std::vector<crypto::Bytes>& promises);

class SecureSession {
public:
    /// From the R0 and R1 messages of all silos in order, both empty for a silo that was gone before R1; checks every one against the
    /// roster's public keys and the terms. Throws Refused, naming the silo. The same on every rank, or with another id.
    SecureSession(SecureTerms terms, const std::vector<RosterEntry>& roster, const std::vector<crypto::Bytes>& promises,
                  const std::vector<crypto::Bytes>& keys);

    [[nodiscard]] const SecureTerms& terms() const { return terms_; }
    /// SHA-256 of all R1 messages with their signatures, in order: what follows is bound to it.
    [[nodiscard]] const crypto::Bytes32& id() const { return id_; }
    [[nodiscard]] const crypto::Bytes32& identity_of(std::uint32_t silo) const { return roster_[silo].public_key; }
    /// For messages: silo "north".
    [[nodiscard]] std::string name(std::uint32_t silo) const;
    [[nodiscard]] const SilosKeys& keys_of(std::uint32_t silo) const { return keys_[silo]; }
    [[nodiscard]] crypto::View keys_message_of(std::uint32_t silo) const { return messages_[silo]; }
    /// Whether it has sent its keys.
    [[nodiscard]] bool is_there(std::uint32_t silo) const { return !messages_[silo].empty(); }
    /// With whom it masks: its neighbours in the graph that are there, ascending.
    [[nodiscard]] const std::vector<std::uint32_t>& neighbours_of(std::uint32_t silo) const { return neighbours_[silo]; }
    [[nodiscard]] std::uint32_t domain_of(std::uint32_t silo) const { return domains_[silo]; }
    /// The only set of silos that may be summed, where shares have left for one before; by number in the roster.
    [[nodiscard]] const std::optional<std::vector<bool>>& only_members() const { return only_members_; }
    /// Whether the silo of the roster has signed this.
    [[nodiscard]] bool is_signed(std::uint32_t silo, crypto::View part, const crypto::Signature& signature) const;
    /// Who holds shares of a silo's secrets, in the order of the shares' x = 1, 2, ...: its neighbours and itself, ascending.
    [[nodiscard]] std::vector<std::uint32_t> holders_of(std::uint32_t silo) const;
    /// The x of a holder's share of a dealer's secrets; 0 where it has none.
    [[nodiscard]] std::uint32_t place_of(std::uint32_t holder, std::uint32_t dealer) const;

private:
    void remember(const std::vector<Recollection>& memories);
    void connect(const MaskGraph& graph);

    SecureTerms terms_;
    std::vector<RosterEntry> roster_;
    std::vector<crypto::Bytes> messages_;
    std::vector<SilosKeys> keys_;
    std::vector<std::uint32_t> domains_;
    std::optional<std::vector<bool>> only_members_;
    crypto::Bytes32 id_{};
    std::vector<std::vector<std::uint32_t>> neighbours_;
    // Silos of one process have the same signatures before them: each is verified once. Hashes of silo, part and signature.
    mutable std::set<crypto::Bytes32> verified_;
};

}  // namespace silosum

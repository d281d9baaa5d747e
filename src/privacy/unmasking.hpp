// The end of a secure sum, on any rank: shares that the silos have released are put together to masks, and these come off the sum.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "privacy/masks.hpp"
#include "privacy/secure_party.hpp"
#include "privacy/shamir.hpp"

namespace silosum {

/// What a share in an R5 message is of.
enum class ShareOf : std::uint8_t { own_mask = 1, masking_key = 2 };
/// What a silo signs of its R5 message. sums: from SecureParty::check_tags(); all zero where no tags are wanted.
[[nodiscard]] crypto::Bytes release_part(const SecureSession& session, std::uint32_t silo, const crypto::Bytes32& sums,
                                         const crypto::Bytes& shares);

/// A share that a holder has released.
struct GivenShare {
    std::uint32_t holder = 0;
    shamir::Share share;
};

/// R6, on any rank: rebuilds masks from the R5 messages and takes them off sums, slice by slice.
class Unmasking {
public:
    /// releases[i]: the R5 message of silo i, empty where it is missing. Checks every rebuilt secret against what its silo promised.
    /// Throws Refused where too few good shares are left. sums: from check_tags(), where tags are wanted.
    Unmasking(const SecureSession& session, const SumMembers& members, const std::vector<crypto::Bytes>& releases,
              const crypto::Bytes32& sums = {});

    /// words: the sum of the masked words of all members, from `first` on; afterwards the sum of their plain words.
    template <class Word>
    void take_off(std::uint32_t vector, std::uint64_t first, std::span<Word> words, SoonRead next = {}) {
        masks_.apply(vector, first, words, next);
    }
    /// The keys of what take_off() takes off, for sums in the memory of a GPU.
    void copy_mask_keys(std::uint32_t vector, MaskKeys& to) const { masks_.copy_keys(vector, to); }
    /// Pairs of a dealer and a holder whose share did not fit, in words.
    [[nodiscard]] const std::vector<std::string>& complaints() const { return complaints_; }

private:
    [[nodiscard]] crypto::Secret<32> rebuild(const SecureSession& session, std::uint32_t dealer, bool is_in, std::vector<GivenShare> shares,
                                             std::set<std::uint32_t>& liars);

    MaskStreams masks_;
    std::vector<std::string> complaints_;
};

}  // namespace silosum

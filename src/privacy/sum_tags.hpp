// Tags that show whether a sum was changed between the silos that gave words and the ranks that hold the sum. Once all words have been
// sent, the silos draw a coin together; it chooses random subsets of the words. Each silo signs what the words that it sent add up to in
// each subset, and each rank what its part of the sum does: both must be equal in all. Tags are of words under masks and show nothing more.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/key_stream.hpp"
#include "kernels/subset_sums.hpp"
#include "privacy/secure_session.hpp"

namespace silosum {

/// Of one rank's words, in all vectors of the session. A sum that was changed without knowing the coin has other tags with a probability
/// of 1 - 2^-64. A silo in the sum that works together with whoever changes it can sign tags that fit: to the sum that is as if it had
/// given other words.
class SumTags {
public:
    using Row = std::array<std::uint64_t, kernels::subsets>;  // of one vector, modulo 2^32 or 2^64 as its words
    using Rows = std::vector<Row>;                            // in the order of the session's vectors

    SumTags(const SecureSession& session, const crypto::Bytes32& coin);

    /// Adds words of a vector of the session from `first` on, a multiple of 16.
    template <class Word>
    void add(std::uint32_t vector, std::uint64_t first, std::span<const Word> words);
    /// Adds tags of other words: bytes() of the same session and coin.
    void add(crypto::View bytes) { add_to(rows_, bytes); }
    /// Adds these tags, or those of a message of size() bytes, to rows of the same session.
    void add_to(Rows& rows) const { add_to(rows, bytes()); }
    void add_to(Rows& rows, crypto::View bytes) const;

    [[nodiscard]] const crypto::Bytes32& coin() const { return coin_; }
    [[nodiscard]] crypto::Bytes bytes() const;
    [[nodiscard]] static std::size_t size(const SecureSession& session);

private:
    [[nodiscard]] std::size_t place_of(std::uint32_t vector) const;

    std::vector<MaskedVector> vectors_;
    crypto::Bytes32 coin_{};
    std::vector<kernels::KeyStream> choices_;  // by place
    Rows rows_;
};

}  // namespace silosum

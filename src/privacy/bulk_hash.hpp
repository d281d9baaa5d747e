// Hashes of long vectors, by the library that is fastest at them: Intel's ipsec-mb where the build has it, else OpenSSL, to the same bytes
// (docs/adr/0021-bulk-hashes.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "privacy/crypto.hpp"

namespace silosum::crypto {

inline constexpr std::size_t most_piece_bytes = std::size_t{1} << 15;

/// SHA-256 (FIPS 180-4) of each piece of `size` bytes, most_piece_bytes at most, in order; the last piece may be shorter. One hash waits
/// for its own results from round to round, which many at once make use of.
[[nodiscard]] std::vector<Bytes32> sha256_of_pieces(View bytes, std::size_t size);

/// A keyed hash: AES-128-GMAC (NIST SP 800-38D) with one nonce, which is part of the key. Equal bytes, equal values; who knows no value
/// does not find other bytes with the same one. Values must be as secret as the key, as it hashes more than once. Not for two threads at
/// once.
class Gmac {
public:
    using Value = std::array<std::uint8_t, 16>;
    /// key: 16 bytes of AES, 12 of the nonce, 4 that are not used. A copy of it is kept, and wiped in the end.
    explicit Gmac(const Secret<32>& key);
    ~Gmac();
    Gmac(Gmac&&) noexcept;
    Gmac& operator=(Gmac&&) noexcept;

    void add(std::span<const std::byte> bytes);
    /// Ends it. Call once, until restart().
    [[nodiscard]] Value value();
    /// Another value under the same key.
    void restart();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace silosum::crypto

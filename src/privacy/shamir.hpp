// Secret sharing (Shamir 1979) of 32 bytes: any `threshold` shares rebuild them, fewer say nothing. Over the field of 2^61 - 1
// elements; the bytes are cut into five numbers of 56 bits.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "privacy/crypto.hpp"

namespace silosum::shamir {

inline constexpr std::uint64_t prime = (std::uint64_t{1} << 61) - 1;
inline constexpr std::size_t numbers = 5;
/// Of a share as it is sent: five numbers of 8 bytes, little-endian.
inline constexpr std::size_t share_bytes = 8 * numbers;

struct Share {
    std::uint32_t x = 0;  // from 1; public
    std::array<std::uint64_t, numbers> y{};
    Share() = default;
    Share(const Share&) = default;
    Share& operator=(const Share&) = default;
    ~Share() { crypto::wipe({reinterpret_cast<std::uint8_t*>(y.data()), sizeof y}); }
};

/// Shares for x = 1 ... count. 1 <= threshold <= count.
[[nodiscard]] std::vector<Share> split(const crypto::Secret<32>& secret, std::uint32_t threshold, std::uint32_t count,
                                       crypto::Entropy& entropy);
/// From shares of different x, as many as the threshold (more must lie on one polynomial, fewer give nothing of the secret).
/// Wrong shares give a wrong secret: whoever rebuilds one must be able to check it.
[[nodiscard]] crypto::Secret<32> rebuild(std::span<const Share> shares);

/// share_bytes long.
[[nodiscard]] crypto::Bytes to_bytes(const Share& share);
/// Nothing where it is no share: of another length, or with a number outside the field.
[[nodiscard]] std::optional<Share> from_bytes(std::uint32_t x, crypto::View bytes);

}  // namespace silosum::shamir

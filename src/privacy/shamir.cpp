#include "privacy/shamir.hpp"

#include <cassert>

namespace silosum::shamir {

namespace {

__extension__ using Wide = unsigned __int128;

// The functions below have no branch on secret values.

std::uint64_t reduced(std::uint64_t a) {  // a < 2^62
    const std::uint64_t folded = (a & prime) + (a >> 61);
    const std::uint64_t less = folded - prime;
    const std::uint64_t is_negative = std::uint64_t{0} - (less >> 63);
    return (folded & is_negative) | (less & ~is_negative);
}
std::uint64_t add(std::uint64_t a, std::uint64_t b) {
    return reduced(a + b);
}
std::uint64_t subtract(std::uint64_t a, std::uint64_t b) {
    return reduced(a + prime - b);
}
std::uint64_t multiply(std::uint64_t a, std::uint64_t b) {
    const Wide product = static_cast<Wide>(a) * b;
    return reduced((static_cast<std::uint64_t>(product) & prime) + static_cast<std::uint64_t>(product >> 61));
}
std::uint64_t inverse(std::uint64_t a) {  // a^(prime - 2), Fermat
    std::uint64_t result = 1;
    for (int bit = 60; bit >= 0; --bit) {
        result = multiply(result, result);
        if (((prime - 2) >> bit & 1) != 0) result = multiply(result, a);
    }
    return result;
}

// Uniform in the field: 61 random bits, again where they are the one number too large.
std::uint64_t random_number(crypto::Entropy& entropy) {
    for (;;) {
        crypto::Secret<8> bytes;
        entropy.fill(bytes.span());
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < 8; ++i) value |= static_cast<std::uint64_t>(bytes.view()[i]) << (8 * i);
        value &= prime;
        if (value != prime) return value;
    }
}

}  // namespace

std::vector<Share> split(const crypto::Secret<32>& secret, std::uint32_t threshold, std::uint32_t count, crypto::Entropy& entropy) {
    assert(threshold >= 1 && threshold <= count);
    std::vector<Share> shares(count);
    for (std::uint32_t i = 0; i < count; ++i) shares[i].x = i + 1;
    for (std::size_t number = 0; number < numbers; ++number) {
        std::uint64_t value = 0;
        for (std::size_t i = 7 * number; i < 7 * number + 7 && i < 32; ++i) {
            value |= static_cast<std::uint64_t>(secret.view()[i]) << (8 * (i - 7 * number));
        }
        // Horner's scheme at all points together, from the highest coefficient down to the secret.
        for (std::uint32_t power = threshold; power-- > 0;) {
            const std::uint64_t coefficient = power == 0 ? value : random_number(entropy);
            for (Share& share : shares) share.y[number] = add(multiply(share.y[number], share.x), coefficient);
        }
    }
    return shares;
}

crypto::Secret<32> rebuild(std::span<const Share> shares) {
    std::array<std::uint64_t, numbers> values{};
    for (const Share& share : shares) {
        // Lagrange's polynomial of this point, at 0.
        std::uint64_t above = 1;
        std::uint64_t below = 1;
        for (const Share& other : shares) {
            if (other.x == share.x) continue;
            above = multiply(above, other.x);
            below = multiply(below, subtract(other.x, share.x));
        }
        const std::uint64_t factor = multiply(above, inverse(below));
        for (std::size_t number = 0; number < numbers; ++number) {
            values[number] = add(values[number], multiply(factor, share.y[number]));
        }
    }
    crypto::Secret<32> secret;
    for (std::size_t i = 0; i < 32; ++i) secret.span()[i] = static_cast<std::uint8_t>(values[i / 7] >> (8 * (i % 7)));
    crypto::wipe({reinterpret_cast<std::uint8_t*>(values.data()), sizeof values});
    return secret;
}

crypto::Bytes to_bytes(const Share& share) {
    crypto::Bytes bytes;
    for (const std::uint64_t y : share.y) {
        for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<std::uint8_t>(y >> (8 * i)));
    }
    return bytes;
}

std::optional<Share> from_bytes(std::uint32_t x, crypto::View bytes) {
    if (bytes.size() != share_bytes || x == 0) return std::nullopt;
    Share share;
    share.x = x;
    for (std::size_t number = 0; number < numbers; ++number) {
        for (std::size_t i = 0; i < 8; ++i) share.y[number] |= static_cast<std::uint64_t>(bytes[8 * number + i]) << (8 * i);
        if (share.y[number] >= prime) return std::nullopt;
    }
    return share;
}

}  // namespace silosum::shamir

// The primitives of libsodium and OpenSSL that the secure sum is made of, under the names it uses. Nothing in here is an algorithm of
// our own. Every call throws RuntimeError where the library fails.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace silosum::crypto {

using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;
using Bytes32 = std::array<std::uint8_t, 32>;
using Signature = std::array<std::uint8_t, 64>;

[[nodiscard]] inline View view(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// Overwrites memory in a way that compilers do not remove.
void wipe(std::span<std::uint8_t> bytes);
/// In constant time.
[[nodiscard]] bool equal(View a, View b);

/// Bytes that are wiped when they go. Copied only on purpose.
template <std::size_t size_>
class Secret {
public:
    Secret() = default;
    ~Secret() { wipe(bytes_); }
    Secret(Secret&& other) noexcept : bytes_(other.bytes_) { wipe(other.bytes_); }
    Secret& operator=(Secret&& other) noexcept {
        if (this != &other) {
            bytes_ = other.bytes_;
            wipe(other.bytes_);
        }
        return *this;
    }
    [[nodiscard]] static Secret copy_of(View bytes) {
        Secret secret;
        std::copy_n(bytes.begin(), std::min(size_, bytes.size()), secret.bytes_.begin());
        return secret;
    }
    [[nodiscard]] Secret copy() const { return copy_of(bytes_); }

    [[nodiscard]] static constexpr std::size_t size() { return size_; }
    [[nodiscard]] std::span<std::uint8_t, size_> span() { return bytes_; }
    [[nodiscard]] View view() const { return bytes_; }

private:
    std::array<std::uint8_t, size_> bytes_{};
};

/// Where random bytes come from: the system, except in tests.
class Entropy {
public:
    virtual ~Entropy() = default;
    virtual void fill(std::span<std::uint8_t> bytes) = 0;
};
/// getrandom() by libsodium.
[[nodiscard]] Entropy& system_entropy();

/// X25519 (RFC 7748).
struct ExchangeKeys {
    Bytes32 public_key{};
    Secret<32> secret_key;
};
[[nodiscard]] ExchangeKeys make_exchange_keys(Entropy& entropy);
[[nodiscard]] Bytes32 public_key_of(const Secret<32>& secret_key);
/// The shared secret; nothing where the other key is one of those that give zero, whatever our key.
[[nodiscard]] std::optional<Secret<32>> agree(const Secret<32>& own, const Bytes32& other);

/// Ed25519 (RFC 8032). The secret key is the seed of 32 bytes.
struct SigningKeys {
    Bytes32 public_key{};
    Secret<32> seed;
};
[[nodiscard]] SigningKeys make_signing_keys(Entropy& entropy);
[[nodiscard]] SigningKeys signing_keys_from(Secret<32> seed);
[[nodiscard]] Signature sign(const SigningKeys& keys, View message);
[[nodiscard]] bool verify(const Bytes32& public_key, View message, const Signature& signature);

/// SHA-256 of the parts one after the other.
[[nodiscard]] Bytes32 sha256(std::initializer_list<View> parts);

/// HKDF-SHA256 (RFC 5869): fills `key`.
void derive_key(View salt, View input, View info, std::span<std::uint8_t> key);

/// ChaCha20-Poly1305 (RFC 8439) with a zero nonce: a key must seal one message only.
[[nodiscard]] Bytes seal(const Secret<32>& key, View message, View associated);
/// Nothing where the box was changed, or is another's.
[[nodiscard]] std::optional<Bytes> open(const Secret<32>& key, View box, View associated);

[[nodiscard]] std::string hex(View bytes);
/// Nothing where it is not `size` bytes as hex digits.
[[nodiscard]] std::optional<Bytes> from_hex(std::string_view text, std::size_t size);

}  // namespace silosum::crypto

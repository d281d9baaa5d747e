// Key streams that hide words: pseudo-random words under a key, added to or taken from words modulo 2^32 or 2^64. Any part of a
// stream can be made by itself, so that each rank makes those of its slice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace silosum::kernels {

/// The bytes of a stream, read as little-endian words:
///   aes128_ctr  AES-128 in counter mode (NIST SP 800-38A, FIPS 197); counter block = prefix (8 bytes) || block number (64 bits,
///   big-endian) chacha20    RFC 8439 with the block number in 64 bits (little-endian), then the prefix, as in OpenSSL
enum class Cipher { aes128_ctr, chacha20 };

/// Bytes of a key and the prefix of 8 bytes that follows it: 24 or 40. A key with its prefix must be used for one stream only.
[[nodiscard]] constexpr std::size_t stream_key_bytes(Cipher cipher) {
    return cipher == Cipher::aes128_ctr ? 24 : 40;
}

/// Ways to compute AES, all to the same bytes in constant time: OpenSSL's, or ours on the processor's AES instructions for 128, 256 or 512
/// bits at a time.
enum class AesPath { openssl, aes128, vaes256, vaes512 };
[[nodiscard]] std::string to_string(AesPath path);
/// Those that this processor and this build offer, fastest first.
[[nodiscard]] std::vector<AesPath> usable_aes_paths();

enum class Sign { plus, minus };

/// A stream ready for use. Its secrets are wiped when it goes; the caller wipes the key it gave. Not for two threads at once.
class KeyStream {
public:
    /// Streams begin at multiples of so many bytes.
    static constexpr std::size_t alignment = 64;
    /// No key gives more: 2^32 blocks of AES.
    static constexpr std::uint64_t most_bytes = std::uint64_t{1} << 36;

    /// Throws RuntimeError where OpenSSL refuses the cipher.
    KeyStream(Cipher cipher, std::span<const std::byte> key, AesPath path = usable_aes_paths().front());
    ~KeyStream();
    KeyStream(KeyStream&&) noexcept;
    KeyStream& operator=(KeyStream&&) noexcept;

    /// words[i] (+)= or (-)= word first_word + i of the stream, wrapping. first_word is at a multiple of `alignment` bytes, and the end is
    /// within most_bytes: RuntimeError otherwise.
    void add_to(std::uint64_t first_word, std::span<std::uint32_t> words, Sign sign);
    void add_to(std::uint64_t first_word, std::span<std::uint64_t> words, Sign sign);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace silosum::kernels

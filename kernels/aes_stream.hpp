// AES-128 in counter mode on the processor's AES instructions; see key_stream.hpp, the only one that includes this.
#pragma once

#include <cstddef>
#include <cstdint>

namespace silosum::kernels {

/// Round keys, each repeated four times so that vectors of all widths load them.
struct AesSchedule {
    alignas(64) std::uint8_t round_keys[11][64];
    std::uint8_t prefix[8];
};

/// What one width offers; null functions where the build is for another kind of processor.
struct AesStream {
    void (*add32)(const AesSchedule& schedule, std::uint64_t block, std::size_t n, std::uint32_t* words) = nullptr;
    void (*subtract32)(const AesSchedule& schedule, std::uint64_t block, std::size_t n, std::uint32_t* words) = nullptr;
    void (*add64)(const AesSchedule& schedule, std::uint64_t block, std::size_t n, std::uint64_t* words) = nullptr;
    void (*subtract64)(const AesSchedule& schedule, std::uint64_t block, std::size_t n, std::uint64_t* words) = nullptr;
};

/// vector_bits: 128, 256 or 512.
[[nodiscard]] bool has_aes_stream(int vector_bits);
[[nodiscard]] AesStream aes_stream(int vector_bits);
/// key: 16 bytes. Needs has_aes_stream(128).
void expand_aes_key(const std::uint8_t* key, AesSchedule& schedule);

}  // namespace silosum::kernels

// The three widths of the AES counter mode, and which of them this processor has.
#include "kernels/aes_stream.hpp"

#include <cassert>

#include <hwy/base.h>  // HWY_PUSH_ATTRIBUTES: functions for instruction sets beyond those of the build

#if HWY_ARCH_X86

#include <cpuid.h>
#include <immintrin.h>

namespace silosum::kernels {
namespace {

HWY_PUSH_ATTRIBUTES("aes,sse4.1,ssse3")
namespace width128 {

using Vector = __m128i;
constexpr std::size_t blocks = 1;

inline Vector load(const void* p) {
    return _mm_loadu_si128(static_cast<const __m128i*>(p));
}
inline void store(Vector v, void* p) {
    _mm_storeu_si128(static_cast<__m128i*>(p), v);
}
inline Vector exclusive_or(Vector a, Vector b) {
    return _mm_xor_si128(a, b);
}
inline Vector add32_lanes(Vector a, Vector b) {
    return _mm_add_epi32(a, b);
}
inline Vector add64_lanes(Vector a, Vector b) {
    return _mm_add_epi64(a, b);
}
inline Vector subtract32_lanes(Vector a, Vector b) {
    return _mm_sub_epi32(a, b);
}
inline Vector subtract64_lanes(Vector a, Vector b) {
    return _mm_sub_epi64(a, b);
}
inline Vector aes_round(Vector a, Vector key) {
    return _mm_aesenc_si128(a, key);
}
inline Vector aes_last_round(Vector a, Vector key) {
    return _mm_aesenclast_si128(a, key);
}
// The high half back to front, the low half as it is.
inline Vector turning() {
    return _mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 7, 6, 5, 4, 3, 2, 1, 0);
}
inline Vector turn_numbers(Vector a) {
    return _mm_shuffle_epi8(a, turning());
}
inline Vector counter_step() {
    return _mm_set_epi64x(1, 0);
}
inline Vector first_counter(const std::uint8_t* prefix, std::uint64_t block) {
    return _mm_insert_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(prefix)), static_cast<long long>(block), 1);
}

#include "kernels/aes_stream-inl.hpp"

// FIPS 197, 5.2: w[i] = w[i-4] ^ (RotWord, SubWord and Rcon of w[i-1] for the first word of a round key).
template <int constant>
inline Vector next_round_key(Vector key) {
    const Vector mixed = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(key, constant), 0xFF);
    key = exclusive_or(key, _mm_slli_si128(key, 4));
    key = exclusive_or(key, _mm_slli_si128(key, 8));
    return exclusive_or(key, mixed);
}

void expand(const std::uint8_t* bytes, AesSchedule& schedule) {
    const auto keep = [&](int round, Vector key) {
        for (int copy = 0; copy < 4; ++copy) store(key, schedule.round_keys[round] + 16 * copy);
        return key;
    };
    Vector key = keep(0, load(bytes));
    key = keep(1, next_round_key<0x01>(key));
    key = keep(2, next_round_key<0x02>(key));
    key = keep(3, next_round_key<0x04>(key));
    key = keep(4, next_round_key<0x08>(key));
    key = keep(5, next_round_key<0x10>(key));
    key = keep(6, next_round_key<0x20>(key));
    key = keep(7, next_round_key<0x40>(key));
    key = keep(8, next_round_key<0x80>(key));
    key = keep(9, next_round_key<0x1B>(key));
    keep(10, next_round_key<0x36>(key));
}

}  // namespace width128
HWY_POP_ATTRIBUTES

HWY_PUSH_ATTRIBUTES("vaes,avx2,aes,sse4.1")
namespace width256 {

using Vector = __m256i;
constexpr std::size_t blocks = 2;

inline Vector load(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
inline void store(Vector v, void* p) {
    _mm256_storeu_si256(static_cast<__m256i*>(p), v);
}
inline Vector exclusive_or(Vector a, Vector b) {
    return _mm256_xor_si256(a, b);
}
inline Vector add32_lanes(Vector a, Vector b) {
    return _mm256_add_epi32(a, b);
}
inline Vector add64_lanes(Vector a, Vector b) {
    return _mm256_add_epi64(a, b);
}
inline Vector subtract32_lanes(Vector a, Vector b) {
    return _mm256_sub_epi32(a, b);
}
inline Vector subtract64_lanes(Vector a, Vector b) {
    return _mm256_sub_epi64(a, b);
}
inline Vector aes_round(Vector a, Vector key) {
    return _mm256_aesenc_epi128(a, key);
}
inline Vector aes_last_round(Vector a, Vector key) {
    return _mm256_aesenclast_epi128(a, key);
}
inline Vector turn_numbers(Vector a) {
    return _mm256_shuffle_epi8(a, _mm256_broadcastsi128_si256(_mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 7, 6, 5, 4, 3, 2, 1, 0)));
}
inline Vector counter_step() {
    return _mm256_set_epi64x(2, 0, 2, 0);
}
inline Vector first_counter(const std::uint8_t* prefix, std::uint64_t block) {
    const __m128i first = _mm_insert_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(prefix)), static_cast<long long>(block), 1);
    return _mm256_add_epi64(_mm256_broadcastsi128_si256(first), _mm256_set_epi64x(1, 0, 0, 0));
}

#include "kernels/aes_stream-inl.hpp"

}  // namespace width256
HWY_POP_ATTRIBUTES

HWY_PUSH_ATTRIBUTES("vaes,avx512f,avx512bw,avx512vl,avx512dq,avx2,aes,sse4.1")
namespace width512 {

using Vector = __m512i;
constexpr std::size_t blocks = 4;

inline Vector load(const void* p) {
    return _mm512_loadu_si512(p);
}
inline void store(Vector v, void* p) {
    _mm512_storeu_si512(p, v);
}
inline Vector exclusive_or(Vector a, Vector b) {
    return _mm512_xor_si512(a, b);
}
inline Vector add32_lanes(Vector a, Vector b) {
    return _mm512_add_epi32(a, b);
}
inline Vector add64_lanes(Vector a, Vector b) {
    return _mm512_add_epi64(a, b);
}
inline Vector subtract32_lanes(Vector a, Vector b) {
    return _mm512_sub_epi32(a, b);
}
inline Vector subtract64_lanes(Vector a, Vector b) {
    return _mm512_sub_epi64(a, b);
}
inline Vector aes_round(Vector a, Vector key) {
    return _mm512_aesenc_epi128(a, key);
}
inline Vector aes_last_round(Vector a, Vector key) {
    return _mm512_aesenclast_epi128(a, key);
}
inline Vector turn_numbers(Vector a) {
    const __m128i turning = _mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 7, 6, 5, 4, 3, 2, 1, 0);
    return _mm512_shuffle_epi8(a, _mm512_maskz_broadcast_i32x4(0xFFFF, turning));
}
inline Vector counter_step() {
    return _mm512_set_epi64(4, 0, 4, 0, 4, 0, 4, 0);
}
inline Vector first_counter(const std::uint8_t* prefix, std::uint64_t block) {
    const __m128i first = _mm_insert_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(prefix)), static_cast<long long>(block), 1);
    return _mm512_add_epi64(_mm512_maskz_broadcast_i32x4(0xFFFF, first), _mm512_set_epi64(3, 0, 2, 0, 1, 0, 0, 0));
}

#include "kernels/aes_stream-inl.hpp"

}  // namespace width512
HWY_POP_ATTRIBUTES

}  // namespace

namespace {

// Whether the processor has AES for wide vectors; clang 14 does not know the name that __builtin_cpu_supports has for it.
bool has_vaes() {
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c & bit_VAES) != 0;
}

}  // namespace

bool has_aes_stream(int vector_bits) {
    const bool has128 = __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("ssse3");
    if (vector_bits == 128) return has128;
    const bool has256 = has128 && has_vaes() && __builtin_cpu_supports("avx2");
    if (vector_bits == 256) return has256;
    return vector_bits == 512 && has256 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

AesStream aes_stream(int vector_bits) {
    assert(has_aes_stream(vector_bits));
    return vector_bits == 512 ? width512::stream : vector_bits == 256 ? width256::stream : width128::stream;
}

void expand_aes_key(const std::uint8_t* key, AesSchedule& schedule) {
    assert(has_aes_stream(128));
    width128::expand(key, schedule);
}

}  // namespace silosum::kernels

#else  // other processors: OpenSSL has their AES instructions

namespace silosum::kernels {

bool has_aes_stream(int) {
    return false;
}
AesStream aes_stream(int) {
    return {};
}
void expand_aes_key(const std::uint8_t*, AesSchedule&) {
    assert(false);
}

}  // namespace silosum::kernels

#endif

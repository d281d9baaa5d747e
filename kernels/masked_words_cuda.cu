// A thread makes 64 bytes of words: encodes them or takes those that are there, and adds the same bytes of every stream.
#include "kernels/masked_words.hpp"

#include <cstring>
#include <string>

#include "kernels/aes_cuda.cuh"
#include "kernels/elementwise_cuda.cuh"
#include "kernels/fixed_point_cuda.cuh"

namespace silosum::kernels {
namespace {

/// An expanded key. AES: bits of the round keys, then the prefix as two words. ChaCha20: eight words of the key, then the prefix.
struct Schedule {
    unsigned words[aes::key_words];
    unsigned prefix[2];
    unsigned minus;  // 1: the stream is taken
};

constexpr unsigned mask_threads = 128;
constexpr int line = 16;  // 32-bit words that a thread makes

__device__ unsigned swap_bytes(unsigned x) {
    return __byte_perm(x, 0, 0x0123);
}

/// 64 bytes of the stream from byte 64 * place on.
struct AesLine {
    static constexpr int shared_words = aes::key_words;
    __device__ static void make(const Schedule& schedule, const unsigned* key, std::uint64_t place, unsigned (&stream)[line]) {
#pragma unroll
        for (int pair = 0; pair < 2; ++pair) {
            const std::uint64_t block = place * 4 + static_cast<std::uint64_t>(2 * pair);
            unsigned q[8];
            q[0] = q[1] = schedule.prefix[0];
            q[2] = q[3] = schedule.prefix[1];
            q[4] = q[5] = swap_bytes(static_cast<unsigned>(block >> 32));
            q[6] = swap_bytes(static_cast<unsigned>(block));
            q[7] = swap_bytes(static_cast<unsigned>(block) + 1);  // blocks come in pairs: no carry
            aes::turn(q);
            aes::encrypt(key, q);
            aes::turn(q);
#pragma unroll
            for (int w = 0; w < 4; ++w) {
                stream[8 * pair + w] = q[2 * w];
                stream[8 * pair + 4 + w] = q[2 * w + 1];
            }
        }
    }
};

struct ChaChaLine {
    static constexpr int shared_words = 8;
    __device__ static void quarter(unsigned& a, unsigned& b, unsigned& c, unsigned& d) {
        a += b;
        d = __funnelshift_l(d ^ a, d ^ a, 16);
        c += d;
        b = __funnelshift_l(b ^ c, b ^ c, 12);
        a += b;
        d = __funnelshift_l(d ^ a, d ^ a, 8);
        c += d;
        b = __funnelshift_l(b ^ c, b ^ c, 7);
    }
    /// RFC 8439, section 2.3, with the block number in the first two of the four last words.
    __device__ static void make(const Schedule& schedule, const unsigned* key, std::uint64_t place, unsigned (&stream)[line]) {
        const unsigned low = static_cast<unsigned>(place), high = static_cast<unsigned>(place >> 32);
        unsigned s0 = 0x61707865U, s1 = 0x3320646EU, s2 = 0x79622D32U, s3 = 0x6B206574U;
        unsigned s4 = key[0], s5 = key[1], s6 = key[2], s7 = key[3], s8 = key[4], s9 = key[5], s10 = key[6], s11 = key[7];
        unsigned s12 = low, s13 = high, s14 = schedule.prefix[0], s15 = schedule.prefix[1];
#pragma unroll 1
        for (int round = 0; round < 10; ++round) {
            quarter(s0, s4, s8, s12);
            quarter(s1, s5, s9, s13);
            quarter(s2, s6, s10, s14);
            quarter(s3, s7, s11, s15);
            quarter(s0, s5, s10, s15);
            quarter(s1, s6, s11, s12);
            quarter(s2, s7, s8, s13);
            quarter(s3, s4, s9, s14);
        }
        stream[0] = s0 + 0x61707865U;
        stream[1] = s1 + 0x3320646EU;
        stream[2] = s2 + 0x79622D32U;
        stream[3] = s3 + 0x6B206574U;
        stream[4] = s4 + key[0];
        stream[5] = s5 + key[1];
        stream[6] = s6 + key[2];
        stream[7] = s7 + key[3];
        stream[8] = s8 + key[4];
        stream[9] = s9 + key[5];
        stream[10] = s10 + key[6];
        stream[11] = s11 + key[7];
        stream[12] = s12 + low;
        stream[13] = s13 + high;
        stream[14] = s14 + schedule.prefix[0];
        stream[15] = s15 + schedule.prefix[1];
    }
};

/// sum += or -= stream, as words of the ring.
__device__ void add_line(std::uint32_t (&sum)[line], const unsigned (&stream)[line], unsigned minus) {
#pragma unroll
    for (int i = 0; i < line; ++i) sum[i] += minus != 0 ? 0U - stream[i] : stream[i];
}
__device__ void add_line(std::uint64_t (&sum)[line / 2], const unsigned (&stream)[line], unsigned minus) {
#pragma unroll
    for (int i = 0; i < line / 2; ++i) {
        const std::uint64_t word = static_cast<std::uint64_t>(stream[2 * i + 1]) << 32 | stream[2 * i];
        sum[i] += minus != 0 ? std::uint64_t{0} - word : word;
    }
}

/// Words that are there already.
template <class Word>
struct Present {
    const Word* words;
    __device__ Word at(std::size_t i, Outside& /*outside*/) const { return words[i]; }
    __device__ void end(const Outside& /*outside*/) const {}
};

/// Words of an update.
template <class Word>
struct Encoded {
    const float* local;
    const float* global;
    EncodeSettings settings;
    EncodeCount* count;
    __device__ Word at(std::size_t i, Outside& outside) const { return encoded<Word>(local[i], global[i], settings, outside); }
    __device__ void end(const Outside& outside) const { add_outside(outside, count); }
};

template <class Line, class Word, class Source>
__global__ void __launch_bounds__(mask_threads)
    hide_kernel(std::uint64_t first_line, std::size_t n, int streams, const Schedule* __restrict__ schedules, Source source, Word* words) {
    __shared__ unsigned key[Line::shared_words];
    constexpr int own = line * 4 / static_cast<int>(sizeof(Word));
    const std::size_t begin = grid_index() * own;
    Word sum[own] = {};
    Outside outside;
#pragma unroll
    for (int i = 0; i < own; ++i) {
        if (begin + i < n) sum[i] = source.at(begin + i, outside);
    }
    for (int s = 0; s < streams; ++s) {
        __syncthreads();  // the key before is still in use
        for (int i = static_cast<int>(threadIdx.x); i < Line::shared_words; i += static_cast<int>(mask_threads)) key[i] = schedules[s].words[i];
        __syncthreads();
        unsigned stream[line];
        Line::make(schedules[s], key, first_line + grid_index(), stream);
        add_line(sum, stream, schedules[s].minus);
    }
#pragma unroll
    for (int i = 0; i < own; ++i) {
        if (begin + i < n) words[begin + i] = sum[i];
    }
    source.end(outside);
    __syncthreads();  // no key stays in shared memory for the next kernel
    for (int i = static_cast<int>(threadIdx.x); i < Line::shared_words; i += static_cast<int>(mask_threads)) key[i] = 0;
}

/// Wipes secrets however the function ends.
struct Wiped {
    void* secrets;
    std::size_t bytes;
    ~Wiped() { explicit_bzero(secrets, bytes); }
};

unsigned word_at(const std::byte* bytes) {
    unsigned word = 0;
    for (int i = 3; i >= 0; --i) word = word << 8 | static_cast<unsigned>(bytes[i]);
    return word;
}

/// The S-box on the four bytes of a word, by the circuit of the kernels.
unsigned substituted(unsigned word) {
    unsigned q[8] = {word, 0, 0, 0, 0, 0, 0, 0};
    aes::turn(q);
    aes::substitute(q);
    aes::turn(q);
    const unsigned result = q[0];
    explicit_bzero(q, sizeof(q));
    return result;
}

/// FIPS 197, section 5.2, then every round key for two blocks in bits.
void expand(const std::byte* key, unsigned (&expanded)[aes::key_words]) {
    unsigned w[4 * (aes::rounds + 1)];
    unsigned constant = 1;
    for (int i = 0; i < 4; ++i) w[i] = word_at(key + 4 * i);
    for (int i = 4; i < 4 * (aes::rounds + 1); ++i) {
        unsigned next = w[i - 1];
        if (i % 4 == 0) {
            next = substituted(next >> 8 | next << 24) ^ constant;
            constant = (constant << 1) ^ (constant >> 7) * 0x11BU;
        }
        w[i] = w[i - 4] ^ next;
    }
    for (int round = 0; round <= aes::rounds; ++round) {
        unsigned q[8];
        for (int i = 0; i < 4; ++i) q[2 * i] = q[2 * i + 1] = w[4 * round + i];
        aes::turn(q);
        std::memcpy(expanded + 8 * round, q, sizeof(q));
        explicit_bzero(q, sizeof(q));
    }
    explicit_bzero(w, sizeof(w));
}

}  // namespace

MaskBank::MaskBank(Cipher cipher, std::span<const MaskKey> keys, const CudaStream& stream)
    : cipher_(cipher), streams_(keys.size()), bytes_(keys.size() * sizeof(Schedule)), stream_(stream) {
    if (keys.empty()) return;
    for (const MaskKey& key : keys) {
        if (key.key.size() == stream_key_bytes(cipher)) continue;
        cuda::fail("a key of a mask has " + std::to_string(key.key.size()) + " bytes instead of " +
                           std::to_string(stream_key_bytes(cipher)));
    }
    memory_ = stream_.allocate(bytes_);
    std::vector<Schedule> schedules(keys.size());
    const Wiped wiped{schedules.data(), bytes_};
    for (std::size_t i = 0; i < keys.size(); ++i) {
        const std::byte* key = keys[i].key.data();
        const std::size_t key_bytes = stream_key_bytes(cipher) - 8;
        if (cipher == Cipher::aes128_ctr) {
            expand(key, schedules[i].words);
        } else {
            for (int w = 0; w < 8; ++w) schedules[i].words[w] = word_at(key + 4 * w);
        }
        schedules[i].prefix[0] = word_at(key + key_bytes);
        schedules[i].prefix[1] = word_at(key + key_bytes + 4);
        schedules[i].minus = keys[i].sign == Sign::minus ? 1 : 0;
    }
    stream_.copy_to_device(schedules.data(), memory_.get(), bytes_);
    stream_.wait();
}

MaskBank::~MaskBank() {
    try {
        if (memory_) stream_.fill_with_zeros(memory_.get(), bytes_);
    } catch (...) {  // a GPU that fails has lost its memory too
    }
}

template <class Word, class Source>
void MaskBank::run(std::uint64_t first_word, std::size_t n, const Source& source, Word* words) const {
    constexpr std::size_t own = line * 4 / sizeof(Word);
    constexpr std::uint64_t most_words = KeyStream::most_bytes / sizeof(Word);
    if (first_word % own != 0 || first_word > most_words || n > most_words - first_word) {
        cuda::fail("no key stream begins at word " + std::to_string(first_word) + " and goes on for " + std::to_string(n));
    }
    const std::size_t threads = (n + own - 1) / own;
    const auto* schedules = static_cast<const Schedule*>(memory_.get());
    const auto kernel = cipher_ == Cipher::aes128_ctr ? hide_kernel<AesLine, Word, Source> : hide_kernel<ChaChaLine, Word, Source>;
    cuda::launch(kernel, {blocks_for(threads, mask_threads), mask_threads}, stream_, first_word / own, n, static_cast<int>(streams_),
                 schedules, source, words);
}

void MaskBank::hide(std::uint64_t first_word, std::size_t n, std::uint32_t* words) const {
    run(first_word, n, Present<std::uint32_t>{words}, words);
}
void MaskBank::hide(std::uint64_t first_word, std::size_t n, std::uint64_t* words) const {
    run(first_word, n, Present<std::uint64_t>{words}, words);
}
void MaskBank::encode_hidden(std::uint64_t first_word, std::size_t n, const float* local, const float* global,
                             const EncodeSettings& settings, std::uint32_t* words, EncodeCount* count) const {
    run(first_word, n, Encoded<std::uint32_t>{local, global, settings, count}, words);
}
void MaskBank::encode_hidden(std::uint64_t first_word, std::size_t n, const float* local, const float* global,
                             const EncodeSettings& settings, std::uint64_t* words, EncodeCount* count) const {
    run(first_word, n, Encoded<std::uint64_t>{local, global, settings, count}, words);
}

}  // namespace silosum::kernels

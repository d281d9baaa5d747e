// Chooses how a key stream is made: our AES where the processor has AES instructions, OpenSSL for the rest.
#include "kernels/key_stream.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/error.hpp"
#include "kernels/aes_stream.hpp"

namespace silosum::kernels {

namespace {

int vector_bits(AesPath path) {
    return path == AesPath::vaes512 ? 512 : path == AesPath::vaes256 ? 256 : 128;
}

constexpr std::array<unsigned char, 4096> zeros{};

}  // namespace

std::string to_string(AesPath path) {
    switch (path) {
        case AesPath::openssl:
            return "openssl";
        case AesPath::aes128:
            return "aes128";
        case AesPath::vaes256:
            return "vaes256";
        case AesPath::vaes512:
            return "vaes512";
    }
    return "openssl";
}

std::vector<AesPath> usable_aes_paths() {
    std::vector<AesPath> paths;
    for (const AesPath path : {AesPath::vaes512, AesPath::vaes256, AesPath::aes128}) {
        if (has_aes_stream(vector_bits(path))) paths.push_back(path);
    }
    paths.push_back(AesPath::openssl);
    return paths;
}

struct KeyStream::State {
    Cipher cipher;
    bool is_ours = false;
    AesStream aes{};
    AesSchedule schedule{};
    EVP_CIPHER_CTX* context = nullptr;
    std::array<unsigned char, 8> prefix{};
    std::array<unsigned char, zeros.size()> piece{};  // of OpenSSL's stream

    explicit State(Cipher of) : cipher(of) {}
    ~State() {
        EVP_CIPHER_CTX_free(context);  // wipes its keys
        OPENSSL_cleanse(&schedule, sizeof schedule);
        OPENSSL_cleanse(piece.data(), piece.size());
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    void begin_at(std::uint64_t byte) {
        std::array<unsigned char, 16> start{};
        const bool is_aes = cipher == Cipher::aes128_ctr;
        const std::uint64_t block = byte / (is_aes ? 16 : 64);
        std::copy(prefix.begin(), prefix.end(), start.begin() + (is_aes ? 0 : 8));
        for (std::size_t i = 0; i < 8; ++i) start[is_aes ? 15 - i : i] = static_cast<unsigned char>(block >> (8 * i));
        require<RuntimeError>(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, start.data()) == 1, "OpenSSL refused a counter");
    }

    template <class Word>
    void add_openssl(std::uint64_t byte, std::span<Word> words, Sign sign) {
        begin_at(byte);
        while (!words.empty()) {
            const std::size_t count = std::min(words.size(), piece.size() / sizeof(Word));
            int made = 0;
            const int bytes = static_cast<int>(count * sizeof(Word));
            require<RuntimeError>(EVP_EncryptUpdate(context, piece.data(), &made, zeros.data(), bytes) == 1 && made == bytes,
                                  "OpenSSL made {} of {} bytes of a key stream", made, bytes);
            for (std::size_t i = 0; i < count; ++i) {
                Word word;
                std::memcpy(&word, piece.data() + i * sizeof(Word), sizeof(Word));
                words[i] = sign == Sign::plus ? words[i] + word : words[i] - word;
            }
            words = words.subspan(count);
        }
    }

    template <class Word>
    void add(std::uint64_t first_word, std::span<Word> words, Sign sign) {
        constexpr std::uint64_t most_words = most_bytes / sizeof(Word);
        const bool fits =
            first_word % (alignment / sizeof(Word)) == 0 && words.size() <= most_words && first_word <= most_words - words.size();
        require<RuntimeError>(fits, "words {} to {} of a key stream were asked for: must begin at a multiple of {} and end at {}",
                              first_word, first_word + words.size(), alignment / sizeof(Word), most_words);
        const std::uint64_t byte = first_word * sizeof(Word);
        if (!is_ours) return add_openssl(byte, words, sign);
        const std::uint64_t block = byte / 16;
        if constexpr (sizeof(Word) == 4) {
            (sign == Sign::plus ? aes.add32 : aes.subtract32)(schedule, block, words.size(), words.data());
        } else {
            (sign == Sign::plus ? aes.add64 : aes.subtract64)(schedule, block, words.size(), words.data());
        }
    }
};

// Words are little-endian here, as everywhere in silosum.
KeyStream::KeyStream(Cipher cipher, std::span<const std::byte> key, AesPath path) : state_(std::make_unique<State>(cipher)) {
    require<RuntimeError>(key.size() == stream_key_bytes(cipher), "a key of {} bytes for a stream that needs {}", key.size(),
                          stream_key_bytes(cipher));
    const auto* bytes = reinterpret_cast<const unsigned char*>(key.data());
    const std::size_t key_bytes = key.size() - state_->prefix.size();
    std::memcpy(state_->prefix.data(), bytes + key_bytes, state_->prefix.size());
    if (cipher == Cipher::aes128_ctr && path != AesPath::openssl) {
        require<RuntimeError>(has_aes_stream(vector_bits(path)), "this processor has no AES instructions of {} bits", vector_bits(path));
        state_->is_ours = true;
        state_->aes = aes_stream(vector_bits(path));
        std::memcpy(state_->schedule.prefix, state_->prefix.data(), state_->prefix.size());
        expand_aes_key(bytes, state_->schedule);
        return;
    }
    const EVP_CIPHER* of = cipher == Cipher::aes128_ctr ? EVP_aes_128_ctr() : EVP_chacha20();
    state_->context = EVP_CIPHER_CTX_new();
    require<RuntimeError>(state_->context != nullptr && EVP_EncryptInit_ex(state_->context, of, nullptr, bytes, nullptr) == 1,
                          "OpenSSL offers no {}", cipher == Cipher::aes128_ctr ? "AES-128-CTR" : "ChaCha20");
}
KeyStream::~KeyStream() = default;
KeyStream::KeyStream(KeyStream&&) noexcept = default;
KeyStream& KeyStream::operator=(KeyStream&&) noexcept = default;

void KeyStream::add_to(std::uint64_t first_word, std::span<std::uint32_t> words, Sign sign) {
    state_->add(first_word, words, sign);
}
void KeyStream::add_to(std::uint64_t first_word, std::span<std::uint64_t> words, Sign sign) {
    state_->add(first_word, words, sign);
}

}  // namespace silosum::kernels

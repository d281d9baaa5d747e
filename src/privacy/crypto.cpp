#include "privacy/crypto.hpp"

#include <memory>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <sodium.h>

#include "base/error.hpp"
#include "base/fetched_ahead.hpp"

namespace silosum::crypto {

namespace {

// Before the first use of libsodium in the process; later calls cost nothing.
void begin() {
    static const bool is_ready = sodium_init() >= 0;
    require<RuntimeError>(is_ready, "libsodium cannot be used: the system gives no random numbers");
}

class SystemEntropy : public Entropy {
public:
    void fill(std::span<std::uint8_t> bytes) override {
        begin();
        randombytes_buf(bytes.data(), bytes.size());
    }
};

// Ed25519 keys as libsodium wants them: the seed and the public key.
class ExpandedKey {
public:
    explicit ExpandedKey(View seed) {
        begin();
        require<RuntimeError>(crypto_sign_seed_keypair(public_key.data(), bytes_.span().data(), seed.data()) == 0,
                              "libsodium made no Ed25519 key");
    }
    [[nodiscard]] const std::uint8_t* data() const { return bytes_.view().data(); }
    Bytes32 public_key{};

private:
    Secret<crypto_sign_SECRETKEYBYTES> bytes_;
};

constexpr std::array<std::uint8_t, crypto_aead_chacha20poly1305_ietf_NPUBBYTES> zero_nonce{};

}  // namespace

void wipe(std::span<std::uint8_t> bytes) {
    sodium_memzero(bytes.data(), bytes.size());
}

bool equal(View a, View b) {
    return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

Entropy& system_entropy() {
    static SystemEntropy entropy;
    return entropy;
}

ExchangeKeys make_exchange_keys(Entropy& entropy) {
    ExchangeKeys keys;
    entropy.fill(keys.secret_key.span());
    keys.public_key = public_key_of(keys.secret_key);
    return keys;
}

Bytes32 public_key_of(const Secret<32>& secret_key) {
    begin();
    Bytes32 key{};
    require<RuntimeError>(crypto_scalarmult_base(key.data(), secret_key.view().data()) == 0, "libsodium made no X25519 key");
    return key;
}

std::optional<Secret<32>> agree(const Secret<32>& own, const Bytes32& other) {
    begin();
    Secret<32> shared;
    if (crypto_scalarmult(shared.span().data(), own.view().data(), other.data()) != 0) return std::nullopt;
    return shared;
}

SigningKeys make_signing_keys(Entropy& entropy) {
    Secret<32> seed;
    entropy.fill(seed.span());
    return signing_keys_from(std::move(seed));
}

SigningKeys signing_keys_from(Secret<32> seed) {
    SigningKeys keys;
    keys.public_key = ExpandedKey(seed.view()).public_key;
    keys.seed = std::move(seed);
    return keys;
}

Signature sign(const SigningKeys& keys, View message) {
    const ExpandedKey key(keys.seed.view());
    Signature signature{};
    require<RuntimeError>(crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), key.data()) == 0,
                          "libsodium made no signature");
    return signature;
}

bool verify(const Bytes32& public_key, View message, const Signature& signature) {
    begin();
    return crypto_sign_verify_detached(signature.data(), message.data(), message.size(), public_key.data()) == 0;
}

// OpenSSL's: it uses the processor's SHA instructions, which models of a hundred megabytes need.
Bytes32 sha256(std::initializer_list<View> parts) {
    static const std::unique_ptr<EVP_MD, void (*)(EVP_MD*)> algorithm(EVP_MD_fetch(nullptr, "SHA256", nullptr), EVP_MD_free);
    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    bool is_good = context != nullptr && EVP_DigestInit_ex2(context.get(), algorithm.get(), nullptr) == 1;
    for (const View part : parts) {
        in_pieces_fetched_ahead(part,
                                [&](View piece) { is_good = is_good && EVP_DigestUpdate(context.get(), piece.data(), piece.size()) == 1; });
    }
    Bytes32 digest{};
    require<RuntimeError>(is_good && EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1, "OpenSSL's SHA-256 failed");
    return digest;
}

// OpenSSL's, as Debian 12's libsodium (1.0.18) has no HKDF yet.
void derive_key(View salt, View input, View info, std::span<std::uint8_t> key) {
    static const std::unique_ptr<EVP_KDF, void (*)(EVP_KDF*)> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr), EVP_KDF_free);
    const std::unique_ptr<EVP_KDF_CTX, void (*)(EVP_KDF_CTX*)> context(EVP_KDF_CTX_new(kdf.get()), EVP_KDF_CTX_free);
    std::uint8_t none = 0;  // OpenSSL refuses null pointers, also to nothing
    const auto bytes = [&](const char* name, View view) {
        auto* const data = view.empty() ? &none : const_cast<std::uint8_t*>(view.data());  // it does not write there
        return OSSL_PARAM_construct_octet_string(name, data, view.size());
    };
    std::string digest = "SHA256";
    std::array<OSSL_PARAM, 5> parameters{OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
                                         bytes(OSSL_KDF_PARAM_SALT, salt), bytes(OSSL_KDF_PARAM_KEY, input),
                                         bytes(OSSL_KDF_PARAM_INFO, info), OSSL_PARAM_construct_end()};
    require<RuntimeError>(context != nullptr && EVP_KDF_derive(context.get(), key.data(), key.size(), parameters.data()) == 1,
                          "OpenSSL derived no key");
}

Bytes seal(const Secret<32>& key, View message, View associated) {
    begin();
    Bytes box(message.size() + crypto_aead_chacha20poly1305_ietf_ABYTES);
    require<RuntimeError>(crypto_aead_chacha20poly1305_ietf_encrypt(box.data(), nullptr, message.data(), message.size(), associated.data(),
                                                                    associated.size(), nullptr, zero_nonce.data(), key.view().data()) == 0,
                          "libsodium sealed no message");
    return box;
}

std::optional<Bytes> open(const Secret<32>& key, View box, View associated) {
    begin();
    if (box.size() < crypto_aead_chacha20poly1305_ietf_ABYTES) return std::nullopt;
    Bytes message(box.size() - crypto_aead_chacha20poly1305_ietf_ABYTES);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(message.data(), nullptr, nullptr, box.data(), box.size(), associated.data(),
                                                  associated.size(), zero_nonce.data(), key.view().data()) != 0) {
        return std::nullopt;
    }
    return message;
}

std::string hex(View bytes) {
    std::string text(2 * bytes.size() + 1, '\0');
    sodium_bin2hex(text.data(), text.size(), bytes.data(), bytes.size());
    text.pop_back();
    return text;
}

std::optional<Bytes> from_hex(std::string_view text, std::size_t size) {
    Bytes bytes(size);
    std::size_t written = 0;
    if (text.size() != 2 * size) return std::nullopt;
    if (sodium_hex2bin(bytes.data(), size, text.data(), text.size(), nullptr, &written, nullptr) != 0 || written != size)
        return std::nullopt;
    return bytes;
}

}  // namespace silosum::crypto

#include "base/sha256.hpp"

#include <array>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "base/error.hpp"
#include "base/fetched_ahead.hpp"

namespace silosum {

struct Sha256::Context {
    EVP_MD_CTX* raw = EVP_MD_CTX_new();
    ~Context() { EVP_MD_CTX_free(raw); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
    require<RuntimeError>(context_->raw != nullptr && EVP_DigestInit_ex(context_->raw, EVP_sha256(), nullptr) == 1,
                          "OpenSSL offers no SHA-256");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::add(std::span<const std::byte> bytes) {
    in_pieces_fetched_ahead(bytes, [&](std::span<const std::byte> piece) {
        require<RuntimeError>(EVP_DigestUpdate(context_->raw, piece.data(), piece.size()) == 1, "SHA-256 failed");
    });
}

std::string Sha256::hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    require<RuntimeError>(EVP_DigestFinal_ex(context_->raw, digest.data(), &length) == 1, "SHA-256 failed");
    std::string text;
    for (unsigned i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
}

std::string sha256_hex(std::span<const std::byte> bytes) {
    Sha256 hash;
    hash.add(bytes);
    return hash.hex();
}

}  // namespace silosum

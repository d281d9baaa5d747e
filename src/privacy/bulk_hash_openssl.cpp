// For builds without ipsec-mb.
#include "privacy/bulk_hash.hpp"

#include <algorithm>
#include <cassert>
#include <string>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/error.hpp"

namespace silosum::crypto {

std::vector<Bytes32> sha256_of_pieces(View bytes, std::size_t size) {
    assert(size > 0 && size <= most_piece_bytes);
    std::vector<Bytes32> hashes;
    for (std::size_t first = 0; first < bytes.size(); first += size) {
        hashes.push_back(sha256({bytes.subspan(first, std::min(size, bytes.size() - first))}));
    }
    return hashes;
}

struct Gmac::State {
    EVP_MAC* mac = EVP_MAC_fetch(nullptr, "GMAC", nullptr);
    EVP_MAC_CTX* context = mac == nullptr ? nullptr : EVP_MAC_CTX_new(mac);
    std::array<std::uint8_t, 12> nonce{};
    State() = default;
    ~State() {
        EVP_MAC_CTX_free(context);
        EVP_MAC_free(mac);
        wipe(nonce);
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
};

Gmac::Gmac(const Secret<32>& key) : state_(std::make_unique<State>()) {
    std::copy_n(key.view().begin() + 16, state_->nonce.size(), state_->nonce.begin());
    std::string cipher = "AES-128-GCM";
    const std::array parameters{OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher.data(), 0), OSSL_PARAM_construct_end()};
    require<RuntimeError>(state_->context != nullptr && EVP_MAC_init(state_->context, key.view().data(), 16, parameters.data()) == 1,
                          "OpenSSL offers no GMAC");
    restart();
}
Gmac::~Gmac() = default;
Gmac::Gmac(Gmac&&) noexcept = default;
Gmac& Gmac::operator=(Gmac&&) noexcept = default;

void Gmac::add(std::span<const std::byte> bytes) {
    require<RuntimeError>(EVP_MAC_update(state_->context, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()) == 1,
                          "OpenSSL's GMAC failed");
}

void Gmac::restart() {
    const std::array parameters{OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_IV, state_->nonce.data(), state_->nonce.size()),
                                OSSL_PARAM_construct_end()};
    require<RuntimeError>(EVP_MAC_init(state_->context, nullptr, 0, parameters.data()) == 1, "OpenSSL's GMAC failed");
}

Gmac::Value Gmac::value() {
    Value value{};
    std::size_t size = 0;
    require<RuntimeError>(EVP_MAC_final(state_->context, value.data(), &size, value.size()) == 1 && size == value.size(),
                          "OpenSSL's GMAC failed");
    return value;
}

}  // namespace silosum::crypto

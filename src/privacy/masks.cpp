#include "privacy/masks.hpp"

#include <algorithm>

#include "privacy/message.hpp"

namespace silosum {

namespace {

// A key for each vector: SHA-256 of everything signed in R1 is the salt, so that masks of other terms, models or attempts are others.
void add_streams(MaskStreams& streams, const SecureSession& session, crypto::View secret, const MessageWriter& purpose,
                 kernels::Sign sign) {
    const std::size_t size = kernels::stream_key_bytes(session.terms().cipher);
    for (const auto& vector : session.terms().vectors) {
        MessageWriter info = purpose;
        info.number(vector.id).number(vector.ring_bits);
        crypto::Secret<40> key;
        const auto bytes = key.span().first(size);
        crypto::derive_key(session.id(), secret, info.bytes(), bytes);
        streams.add(vector.id, session.terms().cipher, bytes, sign);
    }
}

kernels::Sign turned(kernels::Sign sign) {
    return sign == kernels::Sign::plus ? kernels::Sign::minus : kernels::Sign::plus;
}

}  // namespace

void MaskStreams::add(std::uint32_t vector, kernels::Cipher cipher, crypto::View key, kernels::Sign sign) {
    streams_[vector].push_back({kernels::KeyStream(cipher, std::as_bytes(key)), sign, cipher, crypto::Secret<40>::copy_of(key)});
}

template <class Word>
void MaskStreams::apply(std::uint32_t vector, std::uint64_t first, std::span<Word> words, SoonRead next) {
    const std::size_t piece = (next.empty() ? 8192 : 2048) / sizeof(Word);
    const auto found = streams_.find(vector);
    if (found == streams_.end()) return;
    next.in_parts((words.size() + piece - 1) / piece * found->second.size());
    for (std::size_t at = 0; at < words.size(); at += piece) {
        const auto part = words.subspan(at, std::min(piece, words.size() - at));
        for (auto& mask : found->second) {
            next.ask();
            mask.stream.add_to(first + at, part, mask.sign);
        }
    }
}
template void MaskStreams::apply(std::uint32_t, std::uint64_t, std::span<std::uint32_t>, SoonRead);
template void MaskStreams::apply(std::uint32_t, std::uint64_t, std::span<std::uint64_t>, SoonRead);

MaskKeys::~MaskKeys() {
    for (auto& mask : keys) crypto::wipe(std::span(reinterpret_cast<std::uint8_t*>(mask.key.data()), mask.key.size()));
}

void MaskStreams::copy_keys(std::uint32_t vector, MaskKeys& to) const {
    const auto found = streams_.find(vector);
    if (found == streams_.end()) return;
    for (const auto& mask : found->second) {
        const auto bytes = std::as_bytes(std::span(mask.key.view())).first(kernels::stream_key_bytes(mask.cipher));
        to.cipher = mask.cipher;
        to.keys.push_back({{bytes.begin(), bytes.end()}, mask.sign});
    }
}

crypto::Bytes MaskStreams::keys_of(std::uint32_t vector) const {
    const auto found = streams_.find(vector);
    crypto::Bytes keys;
    if (found == streams_.end()) return keys;
    keys.reserve(size_of_keys(found->second.size()));  // no copies are left behind in memory
    for (const auto& mask : found->second) {
        keys.push_back(mask.sign == kernels::Sign::plus ? 0 : 1);
        keys.insert(keys.end(), mask.key.view().begin(), mask.key.view().end());
    }
    return keys;
}

void MaskStreams::add_keys(std::uint32_t vector, kernels::Cipher cipher, crypto::View keys) {
    constexpr std::size_t entry = size_of_keys(1);
    unless_refused(!keys.empty() && keys.size() % entry == 0, Refusal::bad_message, "{} bytes are no keys of masks", keys.size());
    for (std::size_t at = 0; at < keys.size(); at += entry) {
        const auto key = keys.subspan(at + 1, kernels::stream_key_bytes(cipher));
        add(vector, cipher, key, keys[at] == 0 ? kernels::Sign::plus : kernels::Sign::minus);
    }
}

void add_own_mask(MaskStreams& streams, const SecureSession& session, std::uint32_t silo, const crypto::Secret<32>& secret,
                  kernels::Sign sign) {
    MessageWriter purpose;
    purpose.label("silosum/v1/self").number(silo);
    add_streams(streams, session, secret.view(), purpose, sign);
}

void add_pair_mask(MaskStreams& streams, const SecureSession& session, std::uint32_t silo, std::uint32_t neighbour,
                   const crypto::Secret<32>& masking_key, const crypto::Bytes32& other_key, kernels::Sign sign) {
    const auto shared = crypto::agree(masking_key, other_key);
    unless_refused(shared.has_value(), Refusal::zero_secret, "the keys of {} and {} give a secret that everybody knows", session.name(silo),
                   session.name(neighbour));
    MessageWriter purpose;
    purpose.label("silosum/v1/pair").number(std::min(silo, neighbour)).number(std::max(silo, neighbour));
    add_streams(streams, session, shared->view(), purpose, silo < neighbour ? sign : turned(sign));
}

}  // namespace silosum

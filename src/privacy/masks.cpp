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
        streams.add(vector.id, kernels::KeyStream(session.terms().cipher, std::as_bytes(bytes)), sign);
    }
}

kernels::Sign turned(kernels::Sign sign) {
    return sign == kernels::Sign::plus ? kernels::Sign::minus : kernels::Sign::plus;
}

}  // namespace

void MaskStreams::add(std::uint32_t vector, kernels::KeyStream stream, kernels::Sign sign) {
    streams_[vector].emplace_back(std::move(stream), sign);
}

template <class Word>
void MaskStreams::apply(std::uint32_t vector, std::uint64_t first, std::span<Word> words) {
    constexpr std::size_t piece = 8192 / sizeof(Word);
    const auto found = streams_.find(vector);
    if (found == streams_.end()) return;
    for (std::size_t at = 0; at < words.size(); at += piece) {
        const auto part = words.subspan(at, std::min(piece, words.size() - at));
        for (auto& [stream, sign] : found->second) stream.add_to(first + at, part, sign);
    }
}
template void MaskStreams::apply(std::uint32_t, std::uint64_t, std::span<std::uint32_t>);
template void MaskStreams::apply(std::uint32_t, std::uint64_t, std::span<std::uint64_t>);

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

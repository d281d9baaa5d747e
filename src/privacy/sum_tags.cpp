#include "privacy/sum_tags.hpp"

#include <algorithm>

#include "privacy/message.hpp"

namespace silosum {

namespace {

std::uint64_t wrapped(std::uint64_t value, std::uint32_t ring_bits) {
    return ring_bits == 32 ? static_cast<std::uint32_t>(value) : value;
}

}  // namespace

SumTags::SumTags(const SecureSession& session, const crypto::Bytes32& coin)
    : vectors_(session.terms().vectors), coin_(coin), rows_(vectors_.size()) {
    const std::size_t size = kernels::stream_key_bytes(session.terms().cipher);
    for (const auto& vector : vectors_) {
        std::array<std::uint8_t, 40> key{};  // no secret: everybody knows the coin
        const auto bytes = std::span(key).first(size);
        crypto::derive_key(session.id(), coin, MessageWriter().label("silosum/v1/subsets").number(vector.id).bytes(), bytes);
        choices_.emplace_back(session.terms().cipher, std::as_bytes(bytes));
    }
}

std::size_t SumTags::place_of(std::uint32_t vector) const {
    const auto found = std::find_if(vectors_.begin(), vectors_.end(), [&](const auto& v) { return v.id == vector; });
    require<RuntimeError>(found != vectors_.end(), "vector {} is not in the terms of the sum", vector);
    return static_cast<std::size_t>(found - vectors_.begin());
}

template <class Word>
void SumTags::add(std::uint32_t vector, std::uint64_t first, std::span<const Word> words) {
    constexpr std::size_t piece = 1024;
    const std::size_t place = place_of(vector);
    std::array<Word, kernels::subsets> sums{};
    std::array<std::uint64_t, piece> choices{};
    for (std::size_t at = 0; at < words.size(); at += piece) {
        const auto part = words.subspan(at, std::min(piece, words.size() - at));
        const std::size_t numbers = (part.size() + kernels::subset_group - 1) / kernels::subset_group * kernels::subset_group;
        std::fill_n(choices.begin(), numbers, 0);
        choices_[place].add_to(first + at, std::span<std::uint64_t>(choices).first(numbers), kernels::Sign::plus);
        kernels::add_subset_sums(part, std::span<const std::uint64_t>(choices).first(numbers), sums);
    }
    for (std::size_t s = 0; s < kernels::subsets; ++s) rows_[place][s] = wrapped(rows_[place][s] + sums[s], 8 * sizeof(Word));
}
template void SumTags::add(std::uint32_t, std::uint64_t, std::span<const std::uint32_t>);
template void SumTags::add(std::uint32_t, std::uint64_t, std::span<const std::uint64_t>);

void SumTags::add_to(Rows& rows, crypto::View bytes) const {
    MessageReader reader(bytes);
    for (std::size_t v = 0; v < vectors_.size(); ++v) {
        for (std::uint64_t& sum : rows.at(v)) sum = wrapped(sum + reader.number<std::uint64_t>(), vectors_[v].ring_bits);
    }
}

std::size_t SumTags::size(const SecureSession& session) {
    return session.terms().vectors.size() * sizeof(Row);
}

crypto::Bytes SumTags::bytes() const {
    MessageWriter writer;
    for (const Row& row : rows_) {
        for (const std::uint64_t sum : row) writer.number(sum);
    }
    return writer.bytes();
}

}  // namespace silosum

#include "privacy/update_tag.hpp"

#include <algorithm>

namespace silosum {

namespace {

crypto::Secret<32> key_of_blocks(const crypto::Secret<32>& key) {
    crypto::Secret<32> derived;
    crypto::derive_key({}, key.view(), crypto::view("silosum/v1/blocks"), derived.span());
    return derived;
}

}  // namespace

UpdateTag::UpdateTag(const crypto::Secret<32>& key, std::size_t floats)
    : blocks_(key_of_blocks(key)), whole_(key), tags_((floats + block - 1) / block), is_done_(tags_.size(), false) {}

UpdateTag::~UpdateTag() {
    for (auto& tag : tags_) crypto::wipe(tag);
}

void UpdateTag::tag_block(std::size_t index, std::span<const float> values) {
    blocks_.restart();
    blocks_.add(std::as_bytes(values));
    tags_[index] = blocks_.value();
    is_done_[index] = true;
}

void UpdateTag::see(std::size_t first, std::span<const float> values) {
    const std::size_t begin = (first + block - 1) / block;
    for (std::size_t index = begin; (index + 1) * block <= first + values.size(); ++index) {
        if (!is_done_[index]) tag_block(index, values.subspan(index * block - first, block));
    }
}

WordsTag::Value UpdateTag::value(std::span<const float> update, std::span<const std::byte> rest) {
    for (std::size_t index = 0; index < tags_.size(); ++index) {
        const std::size_t first = index * block;
        if (!is_done_[index]) tag_block(index, update.subspan(first, std::min(block, update.size() - first)));
    }
    whole_.add(std::as_bytes(std::span(tags_)));
    whole_.add(rest);
    return whole_.value();
}

}  // namespace silosum

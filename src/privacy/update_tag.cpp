#include "privacy/update_tag.hpp"

#include <algorithm>

namespace silosum {

namespace {

crypto::Secret<32> key_of_blocks(const crypto::Secret<32>& key) {
    crypto::Secret<32> derived;
    crypto::derive_key({}, key.view(), crypto::view("silosum/v2/blocks"), derived.span());
    return derived;
}

}  // namespace

UpdateTag::UpdateTag(const crypto::Secret<32>& key, std::span<const float> update)
    : update_(update),
      blocks_(key_of_blocks(key)),
      whole_(key),
      tags_((update.size() + block - 1) / block),
      is_done_(tags_.size(), false) {}

UpdateTag::~UpdateTag() {
    for (auto& tag : tags_) crypto::wipe(tag);
}

void UpdateTag::tag_block(std::size_t index) {
    const std::size_t first = index * block;
    blocks_.restart();
    blocks_.add(std::as_bytes(update_.subspan(first, std::min(block, update_.size() - first))));
    tags_[index] = blocks_.value();
    is_done_[index] = true;
}

void UpdateTag::see(std::size_t first, std::size_t size) {
    if (first != seen_end_) seen_begin_ = first;
    seen_end_ = first + size;
    for (std::size_t index = (seen_begin_ + block - 1) / block; (index + 1) * block <= seen_end_; ++index) {
        if (!is_done_[index]) tag_block(index);
        seen_begin_ = (index + 1) * block;
    }
}

WordsTag::Value UpdateTag::value(std::span<const std::byte> rest) {
    for (std::size_t index = 0; index < tags_.size(); ++index) {
        if (!is_done_[index]) tag_block(index);
    }
    whole_.add(std::as_bytes(std::span(tags_)));
    whole_.add(rest);
    return whole_.value();
}

}  // namespace silosum

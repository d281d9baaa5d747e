// The tag of an update of floats, made of blocks in any order: where one is encoded for the sum it is in the caches anyway.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "privacy/ledger.hpp"

namespace silosum {

class UpdateTag {
public:
    static constexpr std::size_t block = 4096;  // floats

    /// update: in the memory of the host, for as long as this lives.
    UpdateTag(const crypto::Secret<32>& key, std::span<const float> update);
    ~UpdateTag();  // wipes the tags of blocks
    UpdateTag(const UpdateTag&) = delete;
    UpdateTag& operator=(const UpdateTag&) = delete;

    /// Tags the blocks that are whole in [first, first + size), or in that and what was seen right before it.
    void see(std::size_t first, std::size_t size);
    /// The tag of the whole update and of `rest`, whatever was seen of it before. Call once.
    [[nodiscard]] WordsTag::Value value(std::span<const std::byte> rest);

private:
    void tag_block(std::size_t index);

    std::span<const float> update_;
    WordsTag blocks_;  // each under the same key, which is not that of the whole: what that tags depends on it
    WordsTag whole_;
    std::vector<WordsTag::Value> tags_;  // by block
    std::vector<bool> is_done_;
    std::size_t seen_begin_ = 0;  // of what was seen without a gap, but for the blocks that are done
    std::size_t seen_end_ = 0;
};

}  // namespace silosum

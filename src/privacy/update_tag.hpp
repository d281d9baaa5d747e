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

    UpdateTag(const crypto::Secret<32>& key, std::size_t floats);
    ~UpdateTag();  // wipes the tags of blocks
    UpdateTag(const UpdateTag&) = delete;
    UpdateTag& operator=(const UpdateTag&) = delete;

    /// values: the floats of the update from `first` on. Blocks that are whole in them are done.
    void see(std::size_t first, std::span<const float> values);
    /// The tag of the whole update and of `rest`, whatever was seen of it before. Call once.
    [[nodiscard]] WordsTag::Value value(std::span<const float> update, std::span<const std::byte> rest);

private:
    void tag_block(std::size_t index, std::span<const float> values);

    WordsTag blocks_;  // each under the same key, which is not that of the whole: what that tags depends on it
    WordsTag whole_;
    std::vector<WordsTag::Value> tags_;  // by block
    std::vector<bool> is_done_;
};

}  // namespace silosum

#include "privacy/model_hash.hpp"

#include <algorithm>

#include "privacy/bulk_hash.hpp"
#include "privacy/message.hpp"

namespace silosum {

std::size_t hash_leaves(std::size_t floats) {
    return (floats + hash_leaf_floats - 1) / hash_leaf_floats;
}

std::vector<crypto::Bytes32> hashes_of_leaves(std::span<const float> values, std::size_t begin, std::size_t end) {
    std::vector<crypto::Bytes32> hashes;
    for (std::size_t leaf = begin; leaf < end; ++leaf) {
        const std::size_t first = leaf * hash_leaf_floats;
        const auto bytes = std::as_bytes(values.subspan(first, std::min(hash_leaf_floats, values.size() - first)));
        MessageWriter pieces;
        pieces.label("silosum/v2/leaf");
        for (const auto& piece :
             crypto::sha256_of_pieces({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, hash_piece_bytes)) {
            pieces.field(piece);
        }
        hashes.push_back(crypto::sha256({pieces.bytes()}));
    }
    return hashes;
}

crypto::Bytes32 hash_of_model(std::size_t floats, const std::string& layout, std::span<const crypto::Bytes32> leaves) {
    MessageWriter root;
    root.label("silosum/v2/model").number(static_cast<std::uint64_t>(floats)).field(crypto::sha256({crypto::view(layout)}));
    for (const auto& leaf : leaves) root.field(leaf);
    return crypto::sha256({root.bytes()});
}

crypto::Bytes32 hash_of_model(std::span<const float> values, const std::string& layout) {
    return hash_of_model(values.size(), layout, hashes_of_leaves(values, 0, hash_leaves(values.size())));
}

}  // namespace silosum

#include "privacy/model_hash.hpp"

#include <algorithm>

#include "privacy/message.hpp"

namespace silosum {

crypto::Bytes32 hash_of_model(std::span<const float> values, const std::string& layout) {
    MessageWriter root;
    root.label("silosum/v1/model").number(static_cast<std::uint64_t>(values.size())).field(crypto::sha256({crypto::view(layout)}));
    for (std::size_t first = 0; first < values.size(); first += hash_leaf_floats) {
        const auto leaf = std::as_bytes(values.subspan(first, std::min(hash_leaf_floats, values.size() - first)));
        root.field(crypto::sha256({crypto::view("leaf"), {reinterpret_cast<const std::uint8_t*>(leaf.data()), leaf.size()}}));
    }
    return crypto::sha256({root.bytes()});
}

}  // namespace silosum

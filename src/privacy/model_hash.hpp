// The hash of the global model that a silo was given, which its masks are bound to: SHA-256 over a tree of leaves of 1 MiB, with the number
// of parameters and the layout. The hash of a leaf is one of the hashes of its pieces of 32 KiB, which many hashes at once are made of.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "privacy/bulk_hash.hpp"
#include "privacy/crypto.hpp"

namespace silosum {

inline constexpr std::size_t hash_leaf_floats = std::size_t{1} << 18;
inline constexpr std::size_t hash_piece_bytes = crypto::most_piece_bytes;

[[nodiscard]] std::size_t hash_leaves(std::size_t floats);
/// Of the leaves [begin, end).
[[nodiscard]] std::vector<crypto::Bytes32> hashes_of_leaves(std::span<const float> values, std::size_t begin, std::size_t end);
[[nodiscard]] crypto::Bytes32 hash_of_model(std::size_t floats, const std::string& layout, std::span<const crypto::Bytes32> leaves);
[[nodiscard]] crypto::Bytes32 hash_of_model(std::span<const float> values, const std::string& layout);

}  // namespace silosum

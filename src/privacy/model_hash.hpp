// The hash of the global model that a silo was given, which its masks are bound to: SHA-256 over a tree of leaves of 1 MiB, with the number
// of parameters and the layout.
#pragma once

#include <span>
#include <string>

#include "privacy/crypto.hpp"

namespace silosum {

inline constexpr std::size_t hash_leaf_floats = std::size_t{1} << 18;

[[nodiscard]] crypto::Bytes32 hash_of_model(std::span<const float> values, const std::string& layout);

}  // namespace silosum

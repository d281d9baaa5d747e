// From rows of a split to a batch of floats.
#pragma once

#include <cstdint>
#include <span>

#include "data/shard.hpp"

namespace silosum {

/// batch (rows, features): the named rows through the affine map. Row numbers must be below split.rows.
void gather(const Split& split, const Affine& affine, std::span<const std::uint32_t> rows, float* batch);

}  // namespace silosum

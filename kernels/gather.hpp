// Rows of a data set into a batch of floats, with the affine map of pixel scaling and feature standardisation.
#pragma once

#include <cstddef>
#include <cstdint>

namespace silosum::kernels {

/// batch (rows, features): batch[r][f] = x[order[r]][f] * scale[f] + offset[f]; with per_feature false scale[0] and offset[0] hold for all.
void gather_rows(std::size_t rows, std::size_t features, const std::uint8_t* x, const std::uint32_t* order, const float* scale,
                 const float* offset, bool per_feature, float* batch);
void gather_rows(std::size_t rows, std::size_t features, const float* x, const std::uint32_t* order, const float* scale,
                 const float* offset, bool per_feature, float* batch);

}  // namespace silosum::kernels

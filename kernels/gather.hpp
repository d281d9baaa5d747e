// Rows of a data set into a batch of floats, with the affine map of pixel scaling and feature standardisation.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/threads.hpp"
#include "device/cuda_stream.hpp"

namespace silosum::kernels {

/// batch (rows, features): batch[r][f] = x[order[r]][f] * scale[f] + offset[f]; with per_feature false scale[0] and offset[0] hold for all.
void gather_rows(std::size_t rows, std::size_t features, const std::uint8_t* x, const std::uint32_t* order, const float* scale,
                 const float* offset, bool per_feature, float* batch, const Threads& threads);
void gather_rows(std::size_t rows, std::size_t features, const float* x, const std::uint32_t* order, const float* scale,
                 const float* offset, bool per_feature, float* batch, const Threads& threads);
/// chosen[r] = values[order[r]]: labels and targets of a batch.
void gather_values(std::size_t rows, const std::int32_t* values, const std::uint32_t* order, std::int32_t* chosen, const Threads& threads);
void gather_values(std::size_t rows, const float* values, const std::uint32_t* order, float* chosen, const Threads& threads);

/// to[i] = from[places[i]], 0 where places[i] is nowhere; and its inverse, to[places[i]] = from[i]: packing of parameters on a GPU.
inline constexpr std::uint32_t nowhere = 0xFFFFFFFFU;
SILOSUM_CUDA_ONLY void gather_places(std::size_t n, const std::uint32_t* places, const float* from, float* to, const CudaStream& stream);
SILOSUM_CUDA_ONLY void scatter_places(std::size_t n, const std::uint32_t* places, const float* from, float* to, const CudaStream& stream);

// On a GPU: the same, with pointers to its memory, in the order of the stream; nothing waits.
SILOSUM_CUDA_ONLY void gather_rows(std::size_t rows, std::size_t features, const std::uint8_t* x, const std::uint32_t* order,
                                   const float* scale, const float* offset, bool per_feature, float* batch, const CudaStream& stream);
SILOSUM_CUDA_ONLY void gather_rows(std::size_t rows, std::size_t features, const float* x, const std::uint32_t* order, const float* scale,
                                   const float* offset, bool per_feature, float* batch, const CudaStream& stream);
SILOSUM_CUDA_ONLY void gather_values(std::size_t rows, const std::int32_t* values, const std::uint32_t* order, std::int32_t* chosen,
                                     const CudaStream& stream);
SILOSUM_CUDA_ONLY void gather_values(std::size_t rows, const float* values, const std::uint32_t* order, float* chosen,
                                     const CudaStream& stream);

}  // namespace silosum::kernels

// Fixed-point encoding of model updates into Z/2^32 or Z/2^64 and back. Integers add exactly in any order, so a sum of encoded
// updates has the same bits for every number of ranks.
//   z = nearest_even(2^scale_bits * (weight / max_weight) * clamp(y - x, -range, range)), in double, as two's complement.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/threads.hpp"
#include "device/cuda_stream.hpp"

namespace silosum::kernels {

struct EncodeSettings {
    double range = 1;   // C: largest magnitude of a coordinate, a power of two
    double factor = 1;  // 2^scale_bits * weight / max_weight; exact, as max_weight is a power of two
};
struct EncodeCount {
    std::uint64_t clipped = 0;     // finite coordinates beyond the range
    std::uint64_t not_finite = 0;  // NaN or infinite coordinates; words are then unspecified and must not be sent
};

enum class Store {
    write,   // words[i] = z
    add,     // words[i] += z, wrapping
    stream,  // words[i] = z past the caches, complete when the call returns: for words that another core read last and will read next,
             // whose cache would have to be asked for each line, and that are too many to stay in a cache
};

/// Stores the encoding of local[i] - global[i].
[[nodiscard]] EncodeCount encode(std::size_t n, const float* local, const float* global, const EncodeSettings& settings, Store store,
                                 std::uint32_t* words);
[[nodiscard]] EncodeCount encode(std::size_t n, const float* local, const float* global, const EncodeSettings& settings, Store store,
                                 std::uint64_t* words);

/// An update among those that are added up at once, and what was counted of it.
struct SummedUpdate {
    const float* local = nullptr;
    double factor = 1;  // as in EncodeSettings
    EncodeCount count{};
};
/// words[i] = the encodings of local[at + i] - global[at + i] of all updates added, wrapping, in one pass; counts grow.
void encode_sum(std::size_t n, std::size_t at, std::span<SummedUpdate> updates, const float* global, double range, std::uint32_t* words);
void encode_sum(std::size_t n, std::size_t at, std::span<SummedUpdate> updates, const float* global, double range, std::uint64_t* words);

/// mean[i] = signed value of words[i] * unit / divisor, in double; returns the largest magnitude among them, 0 for n = 0.
/// The quotient is rounded once, as by one division: a product with the reciprocal would be rounded twice. unit / divisor must be far from
/// the ends of double's range.
[[nodiscard]] double decode_mean(std::size_t n, const std::uint32_t* words, double unit, double divisor, double* mean);
[[nodiscard]] double decode_mean(std::size_t n, const std::uint64_t* words, double unit, double divisor, double* mean);

/// sum[i] = words of all `parts` added, wrapping; parts[p] points to n words. Runs in pieces that stay in the first-level cache.
/// store: write, or stream for up to four parts (one part: a copy past the caches).
void sum_words(std::size_t n, std::size_t parts, const std::uint32_t* const* words, std::uint32_t* sum, Store store = Store::write);
void sum_words(std::size_t n, std::size_t parts, const std::uint64_t* const* words, std::uint64_t* sum, Store store = Store::write);

/// x[i] = float(x[i] + rate * mean[i]) computed in double: the server step of FedAvg on a slice.
void add_scaled(std::size_t n, double rate, const double* mean, float* x, const Threads& threads);

/// Largest |local - global| over the vector, 0 for n = 0; NaN or Inf when any difference is not finite.
[[nodiscard]] double largest_difference(std::size_t n, const float* local, const float* global);

// On a GPU: the same, with pointers to its memory, in the order of the stream; nothing waits. *count += what encode() counts (Store::stream
// writes); *largest is overwritten.
SILOSUM_CUDA_ONLY void encode(std::size_t n, const float* local, const float* global, const EncodeSettings& settings, Store store,
                              std::uint32_t* words, EncodeCount* count, const CudaStream& stream);
SILOSUM_CUDA_ONLY void encode(std::size_t n, const float* local, const float* global, const EncodeSettings& settings, Store store,
                              std::uint64_t* words, EncodeCount* count, const CudaStream& stream);
SILOSUM_CUDA_ONLY void decode_mean(std::size_t n, const std::uint32_t* words, double unit, double divisor, double* mean, double* largest,
                                   const CudaStream& stream);
SILOSUM_CUDA_ONLY void decode_mean(std::size_t n, const std::uint64_t* words, double unit, double divisor, double* mean, double* largest,
                                   const CudaStream& stream);
SILOSUM_CUDA_ONLY void add_scaled(std::size_t n, double rate, const double* mean, float* x, const CudaStream& stream);
SILOSUM_CUDA_ONLY void largest_difference(std::size_t n, const float* local, const float* global, double* largest,
                                          const CudaStream& stream);

}  // namespace silosum::kernels

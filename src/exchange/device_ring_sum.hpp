// The ring sum on GPUs: words are encoded, hidden, summed by NCCL, opened and decoded where the models are trained.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "comm/mpi.hpp"
#include "comm/slices.hpp"
#include "device/stream.hpp"
#include "exchange/ring_sum.hpp"

namespace silosum {

/// Collective. As make_ring_sum(), for a stream of a GPU that no other rank uses; a second stream carries chunk k while this one makes
/// chunk k + 1. Its memory takes up to four times step_bytes, and of this rank's slice words and means; where a rank hosts several silos
/// also the words of the vector, and where updates lie in the host's memory also two models. Encoding and masks count as the phase wire.
/// tag_sums() is not to be had.
[[nodiscard]] std::unique_ptr<RingSum> make_device_ring_sum(std::uint64_t bits, const Communicator& communicator, const Slices& slices,
                                                            std::size_t step_bytes, bool for_masks, const Stream& stream);

}  // namespace silosum

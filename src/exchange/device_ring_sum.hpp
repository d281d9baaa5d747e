// The ring sum on GPUs: words are encoded, hidden, summed by NCCL, opened and decoded where the models are trained.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "comm/mpi.hpp"
#include "comm/slices.hpp"
#include "exchange/gpu_ranks.hpp"
#include "exchange/ring_sum.hpp"

namespace silosum {

/// Collective over the peers, whose GPUs these are; both must outlive it. As make_ring_sum(), with updates and means in the memory of the
/// GPU; one of its streams carries chunk k while the other makes chunk k + 1. Its own memory takes up to four times step_bytes, and the
/// words of this rank's slice; where a rank hosts several silos also the words of the vector. Encoding and masks count as the phase wire.
/// tag_sums() is not to be had.
[[nodiscard]] std::unique_ptr<RingSum> make_device_ring_sum(std::uint64_t bits, const Communicator& peers, GpuRanks& gpus,
                                                            const Slices& slices, std::size_t step_bytes, bool for_masks);

}  // namespace silosum

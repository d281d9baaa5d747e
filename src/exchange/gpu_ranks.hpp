// The ranks of a federation that have a GPU each, as one of them sees them: its two streams, and NCCL between all.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "comm/mpi.hpp"
#include "comm/nccl.hpp"
#include "comm/rank_groups.hpp"
#include "comm/slices.hpp"
#include "device/stream.hpp"

namespace silosum {

class GpuRanks {
public:
    /// Collective over `all`, whose ranks `groups` are of; both must outlive it. making: of a GPU that no other rank uses. Throws the same
    /// AgreedError on all ranks where one cannot join.
    GpuRanks(const Communicator& all, const RankGroups& groups, const Stream& making);
    /// Other members may need the GPU's memory until it is done: settle() first.
    ~GpuRanks() = default;
    GpuRanks(const GpuRanks&) = delete;
    GpuRanks& operator=(const GpuRanks&) = delete;

    /// Trains, and makes what is sent.
    [[nodiscard]] const Stream& making() const { return making_; }
    /// Sends it, while the other goes on.
    [[nodiscard]] const Stream& carrying() const { return carrying_; }
    /// Between the ranks at this rank's position of all groups.
    [[nodiscard]] Nccl& peers() { return *peers_; }

    /// Collective over all. Every rank has filled its own slice of `whole`, in the memory of its GPU; afterwards all slices are everywhere.
    /// Returns the bytes that others have from this rank.
    std::size_t all_gather(const Slices& slices, std::span<float> whole);

    /// Until nothing of NCCL's uses the GPU's memory; gives NCCL up where an exception keeps this rank from waiting for others.
    void settle() noexcept;

private:
    const Communicator& all_;
    Stream making_;
    Stream carrying_;
    std::unique_ptr<Nccl> peers_;
    std::unique_ptr<Nccl> all_ranks_;  // where they are not the peers
    CudaMark made_;
};

}  // namespace silosum

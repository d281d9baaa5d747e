// Collectives on the memory of GPUs, by NCCL: the verbs of collectives.hpp, put into the queue of a stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "comm/mpi.hpp"
#include "comm/slices.hpp"
#include "device/cuda_stream.hpp"

struct ncclComm;

namespace silosum {

/// Ranks that each have a GPU of their own. Every verb but barrier() only puts work into the queue, in the same order on all ranks; spans
/// are of the GPU's memory and must last until wait(). Integer sums wrap around. An object that has thrown has given NCCL's work up, and
/// is good for nothing more; so has one that is destroyed by an exception, as the other ranks may not come.
class Nccl {
public:
    /// Collective. The communicator, which must outlive it, gives ranks and deadline. Throws the same AgreedError on all ranks where one
    /// has no NCCL to join.
    SILOSUM_CUDA_ONLY Nccl(const Communicator& communicator, const CudaStream& stream);
    SILOSUM_CUDA_ONLY ~Nccl();
    Nccl(const Nccl&) = delete;
    Nccl& operator=(const Nccl&) = delete;

    SILOSUM_CUDA_ONLY void broadcast(std::span<std::byte> bytes, int root);
    SILOSUM_CUDA_ONLY void all_reduce_sum(std::span<std::uint32_t> words);
    SILOSUM_CUDA_ONLY void all_reduce_sum(std::span<std::uint64_t> words);
    /// sum, as long as own: rounded, in an order that NCCL chooses.
    SILOSUM_CUDA_ONLY void all_reduce_sum(std::span<const float> own, std::span<float> sum);
    /// all: (ranks, own.size()). own = the sum over the ranks of the row of this rank.
    SILOSUM_CUDA_ONLY void reduce_scatter_sum(std::span<const std::uint32_t> all, std::span<std::uint32_t> own);
    SILOSUM_CUDA_ONLY void reduce_scatter_sum(std::span<const std::uint64_t> all, std::span<std::uint64_t> own);
    /// all: (ranks, own.size()), by rank.
    SILOSUM_CUDA_ONLY void all_gather(std::span<const std::byte> own, std::span<std::byte> all);
    /// Every rank has filled its own slice of `whole`; afterwards all slices are everywhere.
    SILOSUM_CUDA_ONLY void all_gather(const Slices& slices, std::size_t bytes_each, std::span<std::byte> whole);
    /// Both (ranks, bytes): row r goes to rank r, and comes from it.
    SILOSUM_CUDA_ONLY void all_to_all(std::span<const std::byte> out, std::span<std::byte> in);
    /// Until all ranks have come to it, in their queues and here.
    SILOSUM_CUDA_ONLY void barrier();

    /// Until all work of the queue is done, or all before the mark in it. RuntimeError, with `what` it waited for, where NCCL or the GPU
    /// failed or the deadline passed.
    SILOSUM_CUDA_ONLY void wait(const std::string& what);
    SILOSUM_CUDA_ONLY void wait(const CudaMark& mark, const std::string& what);
    /// Until its work is done, or given up: where an exception is on its way, or a wait fails.
    SILOSUM_CUDA_ONLY void settle() noexcept;
    /// Ends NCCL's work, whatever the other ranks do.
    SILOSUM_CUDA_ONLY void give_up() noexcept;

    /// NCCL's version, "2.28.9".
    [[nodiscard]] SILOSUM_CUDA_ONLY static std::string version();
    /// True in a build with NCCL.
    [[nodiscard]] static bool is_built() {
        std::string (*const defined)() = &version;
        return defined != nullptr;
    }

private:
    // What a call of NCCL returned, once it is no longer under way.
    SILOSUM_CUDA_ONLY void end_call(int result, const std::string& what);
    // Calls that belong together: call(rank) for every rank.
    SILOSUM_CUDA_ONLY void for_all_ranks(const std::function<int(int)>& call, const std::string& what);
    SILOSUM_CUDA_ONLY void poll_or_give_up(const std::function<bool()>& is_done, const std::string& what);
    SILOSUM_CUDA_ONLY void wait_until(const std::function<bool()>& is_done, const std::string& what);
    [[noreturn]] SILOSUM_CUDA_ONLY void fail(int result, const std::string& what);

    const Communicator& communicator_;
    CudaStream stream_;
    ncclComm* handle_ = nullptr;
    std::shared_ptr<void> flag_;  // a word that barrier() adds up
};

}  // namespace silosum

// A queue of work of one GPU: kernels and copies run in the order in which they were given, while the host goes on. No CUDA header is
// needed to hold one.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

struct CUstream_st;
struct CUevent_st;

/// Marks what only a build with CUDA (or with the emulator of the tests) defines. Weak, so that a build without links all the same; it has
/// no CudaStream to call these with, as devices.hpp says "built without CUDA" before one is made.
#define SILOSUM_CUDA_ONLY [[gnu::weak]]

namespace silosum {

namespace cuda {
class Graphs;
}

/// Copies share the queue; it goes with the last. For the thread that made it only, and one GPU a process: CUDA keeps a current one.
class CudaStream {
public:
    /// On GPU `device` of this process. RuntimeError with the reason where there is none.
    SILOSUM_CUDA_ONLY explicit CudaStream(int device);

    [[nodiscard]] int device() const { return device_; }
    /// For calls of CUDA that give it more work, or wait for it.
    [[nodiscard]] SILOSUM_CUDA_ONLY CUstream_st* handle() const;

    /// Whether products of matrices run on tensor cores in TF32; of this and its later copies. Needs compute capability 8.0.
    [[nodiscard]] bool uses_tf32() const { return uses_tf32_; }
    void use_tf32() { uses_tf32_ = true; }

    /// Does work(), and gives the kernels that it launches on this stream to the GPU as one CUDA graph when it returns: one call of the
    /// driver instead of one a kernel. The bits are those of work() alone. What is not a kernel (a copy, a wait, memory of this stream that
    /// goes) has no place in a graph: before it the GPU gets the kernels so far, one by one, and later ones as they come. If work() throws,
    /// what is still only recorded is never run. RuntimeError within itself.
    SILOSUM_CUDA_ONLY void run_as_graph(const std::function<void()>& work) const;
    /// What run_as_graph records, and the graphs made so far.
    [[nodiscard]] SILOSUM_CUDA_ONLY cuda::Graphs& graphs() const;

    /// Until all work given so far is done. RuntimeError if some of it failed.
    SILOSUM_CUDA_ONLY void wait() const;
    /// Whether it is done, without waiting.
    [[nodiscard]] SILOSUM_CUDA_ONLY bool is_done() const;

    /// Memory for the kernels of one call, `bytes` or more; the next call on the stream may have the same. Grows, never shrinks.
    [[nodiscard]] SILOSUM_CUDA_ONLY void* workspace(std::size_t bytes) const;

    /// Memory of the GPU, zeroed by the stream. Its last holder frees it once the stream's work is done.
    [[nodiscard]] SILOSUM_CUDA_ONLY std::shared_ptr<void> allocate(std::size_t bytes) const;
    // From and to the host's memory, or within the GPU's: put into the queue. The host's side must last and stay unchanged until wait().
    SILOSUM_CUDA_ONLY void copy_to_device(const void* host, void* device, std::size_t bytes) const;
    SILOSUM_CUDA_ONLY void copy_to_host(const void* device, void* host, std::size_t bytes) const;
    SILOSUM_CUDA_ONLY void copy_on_device(const void* from, void* to, std::size_t bytes) const;
    SILOSUM_CUDA_ONLY void fill_with_zeros(void* device, std::size_t bytes) const;

private:
    struct State;
    std::shared_ptr<State> state_;
    int device_ = 0;
    bool uses_tf32_ = false;
};

/// A place in the queue of a stream, for another stream of the same GPU to wait for. Before set() there is nothing to wait for.
class CudaMark {
public:
    SILOSUM_CUDA_ONLY CudaMark();
    SILOSUM_CUDA_ONLY ~CudaMark();
    CudaMark(const CudaMark&) = delete;
    CudaMark& operator=(const CudaMark&) = delete;

    /// Behind all that `stream` has been given so far; moves the mark.
    SILOSUM_CUDA_ONLY void set(const CudaStream& stream);
    /// What `stream` is given from now on begins only once the mark, as it is now, is reached. The host goes on.
    SILOSUM_CUDA_ONLY void hold(const CudaStream& stream) const;
    /// Whether all before the mark is done. RuntimeError if some of it failed.
    [[nodiscard]] SILOSUM_CUDA_ONLY bool is_reached() const;

private:
    CUevent_st* handle_ = nullptr;
};

}  // namespace silosum

// Where kernels run and where their memory lies: the threads of the processor, or a queue of a GPU.
#pragma once

#include <cassert>
#include <cstring>
#include <optional>
#include <span>

#include "base/buffer.hpp"
#include "base/threads.hpp"
#include "device/cuda_stream.hpp"

namespace silosum {

class Stream {
public:
    /// `threads` must outlive it. Every call is done when it returns.
    Stream(const Threads& threads) : threads_(&threads) {}  // NOLINT(google-explicit-constructor): threads are a stream
    /// `threads` serve what the host does beside the GPU.
    Stream(CudaStream stream, const Threads& threads) : threads_(&threads), cuda_(std::move(stream)) {}

    [[nodiscard]] bool is_cuda() const { return cuda_.has_value(); }
    [[nodiscard]] const CudaStream& cuda() const { return *cuda_; }
    [[nodiscard]] const Threads& threads() const { return *threads_; }

    /// kernel(threads) or kernel(cuda stream): each kernel has an overload for either.
    template <class Kernel>
    void run(const Kernel& kernel) const {
        if (cuda_) return kernel(*cuda_);
        kernel(*threads_);
    }
    /// work(), whose kernels a GPU gets together: CudaStream::run_as_graph.
    template <class Work>
    void run_as_graph(const Work& work) const {
        if (cuda_) return cuda_->run_as_graph(work);
        work();
    }
    /// Until all that was given so far is done.
    void wait() const {
        if (cuda_) cuda_->wait();
    }

    /// Zeros in the memory that its kernels work on. Of a GPU the host may not touch it, only hand it on.
    template <class T>
    [[nodiscard]] Buffer<T> allocate(std::size_t size) const {
        if (!cuda_ || size == 0) return Buffer<T>(size);
        auto memory = cuda_->allocate(size * sizeof(T));
        auto* const data = static_cast<T*>(memory.get());
        return Buffer<T>(std::move(memory), data, size);
    }
    /// Copies between the host's memory and that of the stream, in the order of its work. A GPU's copy may still be under way at return:
    /// `host` must last, unchanged, until wait().
    template <class T>
    void upload(std::span<const T> host, std::span<T> to) const {
        assert(host.size() == to.size());
        if (cuda_) return cuda_->copy_to_device(host.data(), to.data(), host.size_bytes());
        if (!host.empty()) std::memcpy(to.data(), host.data(), host.size_bytes());
    }
    template <class T>
    void download(std::span<const T> from, std::span<T> host) const {
        assert(host.size() == from.size());
        if (cuda_) return cuda_->copy_to_host(from.data(), host.data(), host.size_bytes());
        if (!host.empty()) std::memcpy(host.data(), from.data(), host.size_bytes());
    }
    template <class T>
    void copy(std::span<const T> from, std::span<T> to) const {
        assert(from.size() == to.size());
        if (cuda_) return cuda_->copy_on_device(from.data(), to.data(), to.size_bytes());
        if (!to.empty()) std::memmove(to.data(), from.data(), to.size_bytes());
    }
    template <class T>
    void fill_with_zeros(std::span<T> values) const {
        if (cuda_) return cuda_->fill_with_zeros(values.data(), values.size_bytes());
        if (!values.empty()) std::memset(static_cast<void*>(values.data()), 0, values.size_bytes());
    }

private:
    const Threads* threads_;
    std::optional<CudaStream> cuda_;
};

}  // namespace silosum

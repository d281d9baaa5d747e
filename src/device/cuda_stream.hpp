// A queue of work of one GPU: kernels and copies run in the order in which they were given, while the host goes on. No CUDA header is
// needed to hold one.
#pragma once

#include <memory>

struct CUstream_st;

/// Marks what only a build with CUDA (or with the emulator of the tests) defines. Weak, so that a build without links all the same: there
/// is no CudaStream in it to call these with, as making one says "built without CUDA" (see device.hpp).
#define SILOSUM_CUDA_ONLY [[gnu::weak]]

namespace silosum {

class CudaStream {
public:
    /// Use Device::open_stream(). `handle` is destroyed by `destroy` with the last copy.
    CudaStream(int device, CUstream_st* handle, void (*destroy)(CUstream_st*)) : device_(device), handle_(handle, destroy) {}

    [[nodiscard]] int device() const { return device_; }
    [[nodiscard]] CUstream_st* handle() const { return handle_.get(); }

private:
    int device_;
    std::shared_ptr<CUstream_st> handle_;
};

}  // namespace silosum

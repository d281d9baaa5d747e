// What every call of the emulated runtime API begins and ends with.
#pragma once

#include <functional>

#include "host_types.hpp"

namespace emulator {

/// Runs a call's body: refuses a second host thread and calls from a kernel, throws what an earlier call that frees could not throw, keeps
/// an error code for cudaGetLastError.
cudaError_t api_call(const std::function<cudaError_t()>& body);

/// The same for calls that free, which destructors make: what a kernel's failure throws is printed and kept for the next call.
cudaError_t api_release(const std::function<cudaError_t()>& body);

/// Keeps a code for cudaGetLastError and returns it.
cudaError_t keep_error(cudaError_t error);

int current_device();
int device_count();
std::size_t device_memory_bytes();
/// True if kernels on `device` may use memory of `owner`.
bool can_access(int device, int owner);

/// What a kernel may have of dynamic shared memory.
std::size_t dynamic_shared_limit(const void* kernel);

}  // namespace emulator

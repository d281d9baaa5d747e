// Small kernels for the tests of streams, memory and graphs.
#pragma once

#include <functional>

#include "host_types.hpp"

/// values[i] = values[i] * factor + summand, for the first `size` of them.
void multiply_add(int* values, int factor, int summand, int size, cudaStream_t stream);

/// The same for a node of a graph: what `use` says of it. The arguments are gone when it returns.
cudaError_t with_multiply_add(int* values, int factor, int summand, int size,
                              const std::function<cudaError_t(const cudaKernelNodeParams&)>& use);

/// to[i] = from[i].
void copy_values(int* to, const int* from, int size, cudaStream_t stream);

/// Fails on every device.
void trap(cudaStream_t stream);

/// Launches a kernel that does nothing.
void launch_empty(unsigned blocks_x, unsigned blocks_y, unsigned threads, std::size_t shared_bytes, cudaStream_t stream = nullptr);
cudaError_t allow_shared_for_empty(int bytes);

/// A kernel that takes (int, const float*, float*).
void take_pointers(int number, const float* first, float* second);

// Runs kernels of a module on the threads of a block.
#pragma once

#include <cstddef>

#include "program.hpp"

namespace emulator::ptx {

/// One thread's run of the kernel that begin_kernel named.
void run_kernel();

/// Until the next call, threads run this kernel with these arguments.
void begin_kernel(const Function& kernel, const unsigned char* arguments, std::size_t dynamic_shared_bytes);

/// Where the kernel's own and the dynamic shared memory begin, behind the variables of the module.
std::uint32_t kernel_shared_offset(const Function& kernel);
std::uint32_t dynamic_shared_offset(const Function& kernel);

}  // namespace emulator::ptx

// Which device each rank trains on.
#pragma once

#include <string>

#include "comm/mpi.hpp"
#include "device/stream.hpp"

namespace silosum {

struct DeviceChoice {
    Stream stream;
    std::string kind;        // what the bits of a run depend on, the same on all ranks: "" for the processor, "CUDA 13.0 sm_90" or
                             // "CUDA 13.0 sm_90 tf32" for GPUs
    std::string note;        // for people; may be empty
    bool is_shared = false;  // some GPU serves several ranks
};

/// Collective. run.device = cpu, cuda or auto; auto takes GPUs where every rank sees one. The ranks of a machine share its GPUs in the
/// order of their ranks. math: local.math, of which tf32 needs GPUs with such tensor cores. Throws the same AgreedError on all ranks where
/// one cannot have what was asked for. `threads` must outlive the stream.
[[nodiscard]] DeviceChoice choose_device(const Communicator& world, const std::string& device, const std::string& math,
                                         const Threads& threads);

/// Why the first GPU cannot be used; empty where it can.
[[nodiscard]] std::string why_no_gpu();

}  // namespace silosum

// How fast the core can go: fused multiply-adds that wait for nothing, on the instruction set that the kernels use.
#pragma once

namespace silosum {

/// Floating-point operations per second (a fused multiply-add counts as two), by CPU time over about the given seconds.
[[nodiscard]] double measure_fma_peak(double seconds);

}  // namespace silosum

// Which instruction sets the vector kernels are compiled for. Every *_cpu.cpp that uses Highway includes this first, then
// defines HWY_TARGET_INCLUDE and includes <hwy/foreach_target.h> and <hwy/highway.h>.
#pragma once

#if defined(HWY_HIGHWAY_DETECT_TARGETS_H_) || defined(HIGHWAY_HWY_DETECT_TARGETS_H_)
#error "include kernels/simd.hpp before any header of Highway"
#endif

// Few targets keep builds short and the promise of isa.hpp simple: one name, one sequence of operations.
// Highway looks at these names only after it has defined those that its version knows.
#define HWY_DISABLED_TARGETS \
    (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_AVX3_ZEN4 | HWY_AVX3_SPR | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)

#include <hwy/detect_targets.h>

// Names that older versions (1.0.3) lack; a name without a definition counts as 0 in #if as well.
#ifndef HWY_SSE2
#define HWY_SSE2 0LL
#endif
#ifndef HWY_AVX3_ZEN4
#define HWY_AVX3_ZEN4 0LL
#endif
#ifndef HWY_AVX3_SPR
#define HWY_AVX3_SPR 0LL
#endif
#ifndef HWY_NEON_WITHOUT_AES
#define HWY_NEON_WITHOUT_AES 0LL
#endif

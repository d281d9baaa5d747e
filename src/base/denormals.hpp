// Numbers below the normal range (1e-38) become zero: processors compute with them many times slower, and momentum decays into them.
#pragma once

#if defined(__SSE__)
#include <immintrin.h>
#endif

namespace silosum {

/// For the calling thread, from now on. Every thread of the program calls it, so that bits do not depend on which one computes.
inline void flush_denormals() {
#if defined(__SSE__)
    constexpr unsigned flush_to_zero = 0x8000;
    constexpr unsigned denormals_are_zero = 0x0040;
    _mm_setcsr(_mm_getcsr() | flush_to_zero | denormals_are_zero);
#elif defined(__aarch64__)
    unsigned long control = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    control |= 1UL << 24;
    __asm__ volatile("msr fpcr, %0" : : "r"(control));
#endif
}

}  // namespace silosum

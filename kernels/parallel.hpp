// Loops of elementwise kernels over threads.
#pragma once

#include <cstddef>
#include <functional>

#include "base/threads.hpp"

namespace silosum::kernels {

/// Elements below which handing a part to another thread costs more than it saves (some microseconds of work).
inline constexpr std::size_t elementwise_grain = 16384;

/// body(begin, end) over [0, n) as Threads::for_ranges does it, without its cost where one thread does all.
template <class Body>
void in_parallel(std::size_t n, std::size_t grain, const Threads& threads, const Body& body) {
    if (n == 0) return;
    if (threads.count() == 1 || n <= grain) {
        body(0, n);
        return;
    }
    threads.for_ranges(n, grain, std::cref(body));
}

}  // namespace silosum::kernels

// How dense layers and convolutions cut their work for threads.
#pragma once

#include <algorithm>
#include <cstddef>

#include "kernels/parallel.hpp"

namespace silosum::kernels {

/// Waking a thread costs some microseconds: parts smaller than this many multiply-adds are not worth it.
inline constexpr std::size_t least_work = std::size_t{1} << 20;

/// body(begin, end) over parts of [0, units), each of which costs `unit_work` multiply-adds.
template <class Body>
void share(const Threads& threads, std::size_t units, std::size_t unit_work, const Body& body) {
    in_parallel(units, (least_work - 1) / std::max<std::size_t>(1, unit_work) + 1, threads, body);
}

}  // namespace silosum::kernels

// The random words of base/random.hpp on a GPU, bit for bit.
#pragma once

#include <cstdint>

#include "base/random.hpp"
#include "device/cuda.cuh"

namespace silosum::kernels {

struct Philox {
    unsigned key0, key1, silo, round;

    explicit Philox(const Random& random)
        : key0(random.key()[0]), key1(random.key()[1]), silo(random.silo()), round(random.round()) {}

    /// Four words of block `index` of the stream.
    [[nodiscard]] __device__ uint4 block(std::uint64_t index) const {
        uint4 counter = make_uint4(static_cast<unsigned>(index), static_cast<unsigned>(index >> 32), silo, round);
        unsigned first = key0, second = key1;
#pragma unroll
        for (int step = 0; step < 10; ++step) {
            const unsigned high0 = __umulhi(0xD2511F53U, counter.x), low0 = 0xD2511F53U * counter.x;
            const unsigned high1 = __umulhi(0xCD9E8D57U, counter.z), low1 = 0xCD9E8D57U * counter.z;
            counter = make_uint4(high1 ^ counter.y ^ first, low1, high0 ^ counter.w ^ second, low0);
            first += 0x9E3779B9U;
            second += 0xBB67AE85U;
        }
        return counter;
    }
};

}  // namespace silosum::kernels

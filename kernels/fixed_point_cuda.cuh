// The encoding of one coordinate on a GPU, to the word of the processor bit for bit: every operation is exact or one rounding.
#pragma once

#include <cmath>
#include <cstdint>

#include "device/cuda.cuh"
#include "kernels/fixed_point.hpp"

namespace silosum::kernels {

/// What is wrong with the coordinates of a thread, as EncodeCount counts it.
struct Outside {
    unsigned clipped = 0;
    unsigned not_finite = 0;
};

/// The definition in fixed_point.hpp; a coordinate that is not finite gives 0.
template <class Word>
__device__ Word encoded(float local, float global, const EncodeSettings& settings, Outside& outside) {
    constexpr double largest_finite = 1.7976931348623157e308;
    const double u = static_cast<double>(local) - static_cast<double>(global);
    const bool is_finite = fabs(u) <= largest_finite;
    outside.not_finite += is_finite ? 0U : 1U;
    outside.clipped += is_finite && fabs(u) > settings.range ? 1U : 0U;
    const double clamped = is_finite ? fmin(fmax(u, -settings.range), settings.range) : 0;
    return static_cast<Word>(static_cast<unsigned long long>(__double2ll_rn(clamped * settings.factor)));
}

/// *count += what this thread has found; hardly ever anything.
__device__ inline void add_outside(const Outside& outside, EncodeCount* count) {
    static_assert(sizeof(count->clipped) == sizeof(unsigned long long));
    const auto add = [](std::uint64_t& to, unsigned more) {
        if (more > 0) atomicAdd(reinterpret_cast<unsigned long long*>(&to), static_cast<unsigned long long>(more));
    };
    add(count->clipped, outside.clipped);
    add(count->not_finite, outside.not_finite);
}

}  // namespace silosum::kernels

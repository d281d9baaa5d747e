// The modifiers of floating point instructions, and how they are kept in Instruction::flags.
#pragma once

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <cstdint>

#include "decoder.hpp"

namespace emulator::ptx {

enum FloatFlag : std::uint8_t { flush = 1, saturate = 2, towards_zero = 4, downward = 8, upward = 12 };
inline constexpr std::uint8_t rounding_bits = 12;

inline std::uint8_t take_float_flags(Decoder& d) {
    std::uint8_t flags = 0;
    if (d.take("ftz")) flags |= flush;
    if (d.take("sat")) flags |= saturate;
    d.take("rn");
    if (d.take("rz")) flags |= towards_zero;
    if (d.take("rm")) flags |= downward;
    if (d.take("rp")) flags |= upward;
    return flags;
}

/// While one lives, the host rounds as the instruction says.
class Rounding {
public:
    explicit Rounding(std::uint8_t flags) : changed_((flags & rounding_bits) != 0) {
        if (!changed_) return;
        const std::uint8_t direction = flags & rounding_bits;
        std::fesetround(direction == towards_zero ? FE_TOWARDZERO : direction == downward ? FE_DOWNWARD : FE_UPWARD);
    }
    ~Rounding() {
        if (changed_) std::fesetround(FE_TONEAREST);
    }
    Rounding(const Rounding&) = delete;
    Rounding& operator=(const Rounding&) = delete;

private:
    bool changed_;
};

template <class T>
T flushed(T value, std::uint8_t flags) {
    if ((flags & flush) != 0 && std::fpclassify(value) == FP_SUBNORMAL) return std::copysign(T{0}, value);
    return value;
}
template <class T>
T finished(T value, std::uint8_t flags) {
    if ((flags & saturate) != 0) return std::isnan(value) ? T{0} : std::clamp(value, T{0}, T{1});
    return flushed(value, flags);
}

}  // namespace emulator::ptx

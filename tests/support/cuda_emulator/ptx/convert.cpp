// cvt between all types of 8 to 64 bits, with its ways of rounding.
#include <algorithm>
#include <cmath>
#include <limits>

#include "../device_functions.hpp"
#include "rounding.hpp"

namespace emulator::ptx {
namespace {

// Instruction::extra: to which integer a float is rounded.
enum ToInteger : std::uint32_t { as_is, nearest, zero, down, up };

template <class T>
T rounded(T value, std::uint32_t how) {
    switch (how) {
        case nearest:
            return std::nearbyint(value);
        case zero:
            return std::trunc(value);
        case down:
            return std::floor(value);
        case up:
            return std::ceil(value);
        default:
            return value;
    }
}

template <class To, class From>
To saturated(From value) {
    __extension__ using Wide = __int128;
    const Wide least = std::numeric_limits<To>::min(), most = std::numeric_limits<To>::max();
    return static_cast<To>(std::clamp(Wide{value}, least, most));
}

template <class To, class From>
void convert(Machine& m, const Instruction& i) {
    const From value = m.get<From>(i.slots[1]);
    if constexpr (std::is_floating_point_v<From> && std::is_floating_point_v<To>) {
        const Rounding rounding(i.flags);
        const volatile From input = rounded(flushed(value, i.flags), i.extra);
        const volatile To output = static_cast<To>(input);
        m.set(i.slots[0], finished(To{output}, i.flags));
    } else if constexpr (std::is_floating_point_v<From>) {
        m.set(i.slots[0], to_integer<To>(rounded(flushed(value, i.flags), i.extra)));
    } else if constexpr (std::is_floating_point_v<To>) {
        const Rounding rounding(i.flags);
        const volatile From input = value;
        const volatile To output = static_cast<To>(input);
        m.set(i.slots[0], finished(To{output}, i.flags));
    } else {
        m.set(i.slots[0], (i.flags & saturate) != 0 ? saturated<To>(value) : static_cast<To>(value));
    }
}

template <class To>
Handler handler_from(Decoder& d, Type from) {
    return with_type(from, [&](auto zero_value) -> Handler {
        using From = decltype(zero_value);
        if constexpr (std::is_same_v<From, bool>) {
            d.refuse("a predicate");
        } else {
            return convert<To, From>;
        }
    });
}

void decode_cvt(Decoder& d) {
    const std::string_view to_integer = d.take_one_of({"rni", "rzi", "rmi", "rpi"});
    d.out.extra = to_integer == "rni"   ? nearest
                  : to_integer == "rzi" ? zero
                  : to_integer == "rmi" ? down
                  : to_integer == "rpi" ? up
                                        : as_is;
    d.out.flags = take_float_flags(d);
    const Type to = d.take_type(), from = d.take_type();
    d.take_slots(2);
    d.out.run = with_type(to, [&](auto zero_value) -> Handler {
        using To = decltype(zero_value);
        if constexpr (std::is_same_v<To, bool>) {
            d.refuse("a predicate");
        } else {
            return handler_from<To>(d, from);
        }
    });
}

}  // namespace

std::vector<Row> convert_rows() {
    return {{"cvt", decode_cvt}};
}

}  // namespace emulator::ptx

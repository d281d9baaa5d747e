// Integer arithmetic. All of it is done on 64 bits without sign, where overflow is defined; what the type says is cut off at the end.
#include <algorithm>
#include <limits>

#include "decoder.hpp"

namespace emulator::ptx {
namespace {

__extension__ using Wide = unsigned __int128;
__extension__ using SignedWide = __int128;

template <class T>
Wide product(T a, T b) {
    if constexpr (std::is_signed_v<T>) {
        return static_cast<Wide>(static_cast<SignedWide>(a) * b);
    } else {
        return static_cast<Wide>(a) * b;
    }
}

template <class T>
T cut(std::uint64_t bits) {
    return static_cast<T>(bits);
}

struct Add {
    template <class T>
    static T of(T a, T b) {
        return cut<T>(to_bits(a) + to_bits(b));
    }
};
struct Sub {
    template <class T>
    static T of(T a, T b) {
        return cut<T>(to_bits(a) - to_bits(b));
    }
};
struct MulLow {
    template <class T>
    static T of(T a, T b) {
        return cut<T>(to_bits(a) * to_bits(b));
    }
};
struct MulHigh {
    template <class T>
    static T of(T a, T b) {
        return static_cast<T>(static_cast<std::uint64_t>(product(a, b) >> sizeof(T) * 8));
    }
};
// What the hardware gives for a division by 0; the smallest number by -1 wraps.
struct Div {
    template <class T>
    static T of(T a, T b) {
        if (b == 0) return static_cast<T>(-1);
        if constexpr (std::is_signed_v<T>) {
            if (b == -1) return cut<T>(0 - to_bits(a));
        }
        return static_cast<T>(a / b);
    }
};
struct Rem {
    template <class T>
    static T of(T a, T b) {
        if (b == 0) return a;
        if constexpr (std::is_signed_v<T>) {
            if (b == -1) return 0;
        }
        return static_cast<T>(a % b);
    }
};
struct Min {
    template <class T>
    static T of(T a, T b) {
        return std::min(a, b);
    }
};
struct Max {
    template <class T>
    static T of(T a, T b) {
        return std::max(a, b);
    }
};
struct Neg {
    template <class T>
    static T of(T a) {
        return cut<T>(0 - to_bits(a));
    }
};
struct Abs {
    template <class T>
    static T of(T a) {
        return a < 0 ? Neg::of(a) : a;
    }
};

template <class T, class Operation>
void unary(Machine& m, const Instruction& i) {
    m.set(i.slots[0], Operation::of(m.get<T>(i.slots[1])));
}
template <class T, class Operation>
void binary(Machine& m, const Instruction& i) {
    m.set(i.slots[0], Operation::of(m.get<T>(i.slots[1]), m.get<T>(i.slots[2])));
}
template <class T, class Operation>
void multiply_add(Machine& m, const Instruction& i) {
    m.set(i.slots[0], Add::of(Operation::of(m.get<T>(i.slots[1]), m.get<T>(i.slots[2])), m.get<T>(i.slots[3])));
}
template <class T>
void multiply_wide(Machine& m, const Instruction& i) {
    m.slots[i.slots[0]] = static_cast<std::uint64_t>(product(m.get<T>(i.slots[1]), m.get<T>(i.slots[2])));
}
template <class T>
void multiply_add_wide(Machine& m, const Instruction& i) {
    m.slots[i.slots[0]] = static_cast<std::uint64_t>(product(m.get<T>(i.slots[1]), m.get<T>(i.slots[2]))) + m.slots[i.slots[3]];
}
void add_saturating(Machine& m, const Instruction& i) {
    const std::int64_t sum = std::int64_t{m.get<std::int32_t>(i.slots[1])} + m.get<std::int32_t>(i.slots[2]);
    m.set(i.slots[0], static_cast<std::int32_t>(std::clamp<std::int64_t>(sum, std::numeric_limits<std::int32_t>::min(),
                                                                         std::numeric_limits<std::int32_t>::max())));
}

// Sums of several words: .cc leaves the carry, addc and subc take it.
template <class T, bool subtracts>
void with_carry(Machine& m, const Instruction& i) {
    const bool takes = (i.flags & 1) != 0, leaves = (i.flags & 2) != 0;
    const T a = m.get<T>(i.slots[1]), b = m.get<T>(i.slots[2]);
    const Wide sum = subtracts ? Wide{a} - b - (takes && m.carry ? 1 : 0) : Wide{a} + b + (takes && m.carry ? 1 : 0);
    m.set(i.slots[0], static_cast<T>(sum));
    if (leaves) m.carry = (sum >> sizeof(T) * 8 & 1) != 0;
}
template <class T, bool high>
void multiply_add_with_carry(Machine& m, const Instruction& i) {
    const bool takes = (i.flags & 1) != 0, leaves = (i.flags & 2) != 0;
    const Wide whole = product(m.get<T>(i.slots[1]), m.get<T>(i.slots[2]));
    using Unsigned = std::make_unsigned_t<T>;
    const auto part = static_cast<Unsigned>(high ? whole >> sizeof(T) * 8 : whole);
    const Wide sum = Wide{part} + static_cast<Unsigned>(m.get<T>(i.slots[3])) + (takes && m.carry ? 1 : 0);
    m.set(i.slots[0], static_cast<Unsigned>(sum));
    if (leaves) m.carry = (sum >> sizeof(T) * 8 & 1) != 0;
}

template <class Operation>
void decode_unary(Decoder& d) {
    const Type type = d.take_type();
    d.take_slots(2);
    d.out.run = handler_for_integer(d, type, [](auto zero) -> Handler { return unary<decltype(zero), Operation>; });
}

template <class Operation>
void decode_binary(Decoder& d) {
    const Type type = d.take_type();
    d.take_slots(3);
    d.out.run = handler_for_integer(d, type, [](auto zero) -> Handler { return binary<decltype(zero), Operation>; });
}

template <bool subtracts>
void decode_with_carry(Decoder& d, bool takes) {
    d.out.flags = static_cast<std::uint8_t>((takes ? 1 : 0) | (d.take("cc") ? 2 : 0));
    const bool wide = size_of(d.take_type()) == 8;
    d.take_slots(3);
    d.out.run = wide ? with_carry<std::uint64_t, subtracts> : with_carry<std::uint32_t, subtracts>;
}

bool is_float_instruction(const Decoder& d) {
    return std::any_of(d.modifiers.begin(), d.modifiers.end(), [](std::string_view m) { return m == "f32" || m == "f64"; });
}
bool has(const Decoder& d, std::string_view modifier) {
    return std::find(d.modifiers.begin(), d.modifiers.end(), modifier) != d.modifiers.end();
}

template <class Operation>
void decode_either(Decoder& d) {
    is_float_instruction(d) ? decode_float(d) : decode_binary<Operation>(d);
}
template <class Operation>
void decode_either_unary(Decoder& d) {
    is_float_instruction(d) ? decode_float(d) : decode_unary<Operation>(d);
}

void decode_add(Decoder& d) {
    if (has(d, "cc")) return decode_with_carry<false>(d, false);
    if (is_float_instruction(d) || !d.take("sat")) return decode_either<Add>(d);
    if (d.take_type() != Type::s32) d.refuse("sat of this type");
    d.take_slots(3);
    d.out.run = add_saturating;
}
void decode_sub(Decoder& d) {
    has(d, "cc") ? decode_with_carry<true>(d, false) : decode_either<Sub>(d);
}
void decode_addc(Decoder& d) {
    decode_with_carry<false>(d, true);
}
void decode_subc(Decoder& d) {
    decode_with_carry<true>(d, true);
}

void decode_multiply(Decoder& d) {
    if (is_float_instruction(d)) return decode_float(d);
    const bool adds = d.opcode != "mul", takes = d.opcode == "madc", leaves = d.take("cc");
    const std::string_view part = d.take_one_of({"lo", "hi", "wide"});
    const Type type = d.take_type();
    d.take_slots(adds ? 4 : 3);
    d.out.flags = static_cast<std::uint8_t>((takes ? 1 : 0) | (leaves ? 2 : 0));
    d.out.run = handler_for_integer(d, type, [&](auto zero) -> Handler {
        using T = decltype(zero);
        if (takes || leaves) return part == "hi" ? multiply_add_with_carry<T, true> : multiply_add_with_carry<T, false>;
        if (part == "wide" && sizeof(T) < 8) return adds ? multiply_add_wide<T> : multiply_wide<T>;
        if (part == "hi") return adds ? multiply_add<T, MulHigh> : binary<T, MulHigh>;
        if (part == "lo") return adds ? multiply_add<T, MulLow> : binary<T, MulLow>;
        d.refuse("neither lo, hi nor wide");
    });
}

// 24-bit factors: the upper bits are not looked at.
template <class T, bool adds>
void multiply_24(Machine& m, const Instruction& i) {
    const auto factor = [&](Slot slot) { return static_cast<T>(static_cast<T>(m.get<std::uint32_t>(slot) << 8) >> 8); };
    const auto low = static_cast<std::uint32_t>(product(factor(i.slots[1]), factor(i.slots[2])));
    m.set(i.slots[0], low + (adds ? m.get<std::uint32_t>(i.slots[3]) : 0));
}
void decode_multiply_24(Decoder& d) {
    const bool adds = d.opcode == "mad24";
    if (!d.take("lo")) d.refuse("only lo");
    const bool is_signed = d.take_type() == Type::s32;
    d.take_slots(adds ? 4 : 3);
    if (adds) {
        d.out.run = is_signed ? multiply_24<std::int32_t, true> : multiply_24<std::uint32_t, true>;
    } else {
        d.out.run = is_signed ? multiply_24<std::int32_t, false> : multiply_24<std::uint32_t, false>;
    }
}

template <class T>
void sum_of_difference(Machine& m, const Instruction& i) {
    const T a = m.get<T>(i.slots[1]), b = m.get<T>(i.slots[2]);
    m.set(i.slots[0], Add::of(a < b ? Sub::of(b, a) : Sub::of(a, b), m.get<T>(i.slots[3])));
}
void decode_sad(Decoder& d) {
    const Type type = d.take_type();
    d.take_slots(4);
    d.out.run = handler_for_integer(d, type, [](auto zero) -> Handler { return sum_of_difference<decltype(zero)>; });
}

}  // namespace

std::vector<Row> integer_rows() {
    return {
        {"add", decode_add},
        {"addc", decode_addc},
        {"sub", decode_sub},
        {"subc", decode_subc},
        {"mul", decode_multiply},
        {"mad", decode_multiply},
        {"madc", decode_multiply},
        {"mul24", decode_multiply_24},
        {"mad24", decode_multiply_24},
        {"sad", decode_sad},
        {"div", decode_either<Div>},
        {"rem", decode_binary<Rem>},
        {"min", decode_either<Min>},
        {"max", decode_either<Max>},
        {"neg", decode_either_unary<Neg>},
        {"abs", decode_either_unary<Abs>},
    };
}

}  // namespace emulator::ptx

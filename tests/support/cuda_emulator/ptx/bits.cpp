// Logic, shifts, and instructions on single bits and bytes.
#include <algorithm>
#include <bit>

#include "../device_functions.hpp"
#include "decoder.hpp"

namespace emulator::ptx {
namespace {

struct And {
    template <class T>
    static T of(T a, T b) {
        return static_cast<T>(a & b);
    }
};
struct Or {
    template <class T>
    static T of(T a, T b) {
        return static_cast<T>(a | b);
    }
};
struct Xor {
    template <class T>
    static T of(T a, T b) {
        return static_cast<T>(a ^ b);
    }
};

template <class T, class Operation>
void binary(Machine& m, const Instruction& i) {
    m.set(i.slots[0], Operation::of(m.get<T>(i.slots[1]), m.get<T>(i.slots[2])));
}
template <class T>
void complement(Machine& m, const Instruction& i) {
    if constexpr (std::is_same_v<T, bool>) {
        m.set(i.slots[0], !m.get<bool>(i.slots[1]));
    } else {
        m.set(i.slots[0], static_cast<T>(~m.get<T>(i.slots[1])));
    }
}
template <class T>
void is_zero(Machine& m, const Instruction& i) {
    m.set(i.slots[0], static_cast<T>(m.get<T>(i.slots[1]) == 0 ? 1 : 0));
}
// Shifts by the width or more leave nothing, or the sign.
template <class T>
void shift_left(Machine& m, const Instruction& i) {
    const auto shift = m.get<std::uint32_t>(i.slots[2]);
    m.set(i.slots[0], static_cast<T>(shift >= sizeof(T) * 8 ? 0 : to_bits(m.get<T>(i.slots[1])) << shift));
}
template <class T>
void shift_right(Machine& m, const Instruction& i) {
    const auto shift = m.get<std::uint32_t>(i.slots[2]);
    const T value = m.get<T>(i.slots[1]);
    if (shift < sizeof(T) * 8) {
        m.set(i.slots[0], static_cast<T>(value >> shift));
    } else {
        m.set(i.slots[0], static_cast<T>(std::is_signed_v<T> && value < 0 ? -1 : 0));
    }
}

void funnel_left_wrap(Machine& m, const Instruction& i) {
    m.set(i.slots[0],
          __funnelshift_l(m.get<std::uint32_t>(i.slots[1]), m.get<std::uint32_t>(i.slots[2]), m.get<std::uint32_t>(i.slots[3])));
}
void funnel_right_wrap(Machine& m, const Instruction& i) {
    m.set(i.slots[0],
          __funnelshift_r(m.get<std::uint32_t>(i.slots[1]), m.get<std::uint32_t>(i.slots[2]), m.get<std::uint32_t>(i.slots[3])));
}
void funnel_left_clamp(Machine& m, const Instruction& i) {
    m.set(i.slots[0],
          __funnelshift_lc(m.get<std::uint32_t>(i.slots[1]), m.get<std::uint32_t>(i.slots[2]), m.get<std::uint32_t>(i.slots[3])));
}
void funnel_right_clamp(Machine& m, const Instruction& i) {
    m.set(i.slots[0],
          __funnelshift_rc(m.get<std::uint32_t>(i.slots[1]), m.get<std::uint32_t>(i.slots[2]), m.get<std::uint32_t>(i.slots[3])));
}
// As __byte_perm, but a nibble's top bit asks for the byte's sign instead.
void permute(Machine& m, const Instruction& i) {
    const std::uint64_t bytes = std::uint64_t{m.get<std::uint32_t>(i.slots[2])} << 32 | m.get<std::uint32_t>(i.slots[1]);
    const auto selector = m.get<std::uint32_t>(i.slots[3]);
    std::uint32_t result = 0;
    for (unsigned n = 0; n < 4; ++n) {
        const unsigned pick = selector >> 4 * n & 15;
        std::uint32_t byte = static_cast<std::uint32_t>(bytes >> 8 * (pick & 7)) & 0xff;
        if ((pick & 8) != 0) byte = (byte & 0x80) != 0 ? 0xff : 0;
        result |= byte << 8 * n;
    }
    m.set(i.slots[0], result);
}

// The table's bit number (a, b, c) for each bit of the three.
void logic_of_three(Machine& m, const Instruction& i) {
    const auto a = m.get<std::uint32_t>(i.slots[1]), b = m.get<std::uint32_t>(i.slots[2]), c = m.get<std::uint32_t>(i.slots[3]);
    const auto table = m.get<std::uint32_t>(i.slots[4]);
    std::uint32_t result = 0;
    for (unsigned n = 0; n < 8; ++n) {
        if ((table >> n & 1) == 0) continue;
        result |= ((n & 4) != 0 ? a : ~a) & ((n & 2) != 0 ? b : ~b) & ((n & 1) != 0 ? c : ~c);
    }
    m.set(i.slots[0], result);
}

template <class T>
void population(Machine& m, const Instruction& i) {
    m.set(i.slots[0], static_cast<std::uint32_t>(std::popcount(m.get<T>(i.slots[1]))));
}
template <class T>
void leading_zeros(Machine& m, const Instruction& i) {
    m.set(i.slots[0], static_cast<std::uint32_t>(std::countl_zero(m.get<T>(i.slots[1]))));
}
void reverse_32(Machine& m, const Instruction& i) {
    m.set(i.slots[0], __brev(m.get<std::uint32_t>(i.slots[1])));
}
void reverse_64(Machine& m, const Instruction& i) {
    m.set(i.slots[0], __brevll(m.get<std::uint64_t>(i.slots[1])));
}

template <class T>
void extract_field(Machine& m, const Instruction& i) {
    constexpr unsigned width = sizeof(T) * 8;
    const T value = m.get<T>(i.slots[1]);
    const unsigned position = m.get<std::uint32_t>(i.slots[2]) & 255, length = m.get<std::uint32_t>(i.slots[3]) & 255;
    const unsigned end = std::min(position + length, width);
    const auto bits = static_cast<std::make_unsigned_t<T>>(value);
    const auto bit = [&](unsigned n) { return n < width && (bits >> n & 1) != 0; };
    const bool sign = std::is_signed_v<T> && length != 0 && bit(std::min(position + length - 1, width - 1));
    std::make_unsigned_t<T> result = 0;
    for (unsigned n = 0; n < width; ++n) {
        const bool set = position + n < end && n < length ? bit(position + n) : sign;
        if (set) result = static_cast<std::make_unsigned_t<T>>(result | std::make_unsigned_t<T>{1} << n);
    }
    m.set(i.slots[0], static_cast<T>(result));
}
template <class T>
void insert_field(Machine& m, const Instruction& i) {
    constexpr unsigned width = sizeof(T) * 8;
    const T field = m.get<T>(i.slots[1]);
    T result = m.get<T>(i.slots[2]);
    const unsigned position = m.get<std::uint32_t>(i.slots[3]) & 255, length = m.get<std::uint32_t>(i.slots[4]) & 255;
    for (unsigned n = 0; n < length && position + n < width; ++n) {
        const T bit = T{1} << (position + n);
        result = (field >> n & 1) != 0 ? result | bit : result & ~bit;
    }
    m.set(i.slots[0], result);
}
// The highest bit that differs from the sign; all ones if there is none.
template <class T>
void find_highest(Machine& m, const Instruction& i) {
    const T value = m.get<T>(i.slots[1]);
    const auto bits = static_cast<std::make_unsigned_t<T>>(std::is_signed_v<T> && value < 0 ? ~value : value);
    const auto zeros = static_cast<unsigned>(std::countl_zero(bits));
    const bool as_shift = i.flags != 0;
    const unsigned position = as_shift ? zeros : static_cast<unsigned>(sizeof(T) * 8 - 1) - zeros;
    m.set(i.slots[0], bits == 0 ? ~0u : position);
}
void byte_permute_mode_refused(Decoder& d) {
    if (d.take_one_of({"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"}) != "") d.refuse("this mode");
}

template <class Operation>
void decode_logic(Decoder& d) {
    const Type type = d.take_type();
    d.take_slots(3);
    d.out.run = with_integer(type, [](auto zero) -> Handler { return binary<decltype(zero), Operation>; });
}
void decode_not(Decoder& d) {
    const Type type = d.take_type();
    d.take_slots(2);
    d.out.run = with_integer(type, [](auto zero) -> Handler { return complement<decltype(zero)>; });
}
void decode_cnot(Decoder& d) {
    const Type type = d.take_type();
    d.take_slots(2);
    d.out.run = handler_for_integer(d, type, [](auto zero) -> Handler { return is_zero<decltype(zero)>; });
}
void decode_shift(Decoder& d) {
    const bool left = d.opcode == "shl";
    const Type type = d.take_type();
    d.take_slots(3);
    d.out.run =
        handler_for_integer(d, type, [=](auto zero) -> Handler { return left ? shift_left<decltype(zero)> : shift_right<decltype(zero)>; });
}
void decode_funnel(Decoder& d) {
    const bool left = d.take("l");
    if (!left && !d.take("r")) d.refuse("neither l nor r");
    const bool wraps = d.take("wrap");
    if (!wraps && !d.take("clamp")) d.refuse("neither wrap nor clamp");
    d.take_type();
    d.take_slots(4);
    d.out.run = left ? (wraps ? funnel_left_wrap : funnel_left_clamp) : (wraps ? funnel_right_wrap : funnel_right_clamp);
}
void decode_permute(Decoder& d) {
    byte_permute_mode_refused(d);
    d.take_type();
    d.take_slots(4);
    d.out.run = permute;
}
void decode_logic_of_three(Decoder& d) {
    d.take_type();
    d.take_slots(5);
    d.out.run = logic_of_three;
}
void decode_population(Decoder& d) {
    const bool wide = size_of(d.take_type()) == 8;
    d.take_slots(2);
    d.out.run = wide ? population<std::uint64_t> : population<std::uint32_t>;
}
void decode_leading_zeros(Decoder& d) {
    const bool wide = size_of(d.take_type()) == 8;
    d.take_slots(2);
    d.out.run = wide ? leading_zeros<std::uint64_t> : leading_zeros<std::uint32_t>;
}
void decode_reverse(Decoder& d) {
    const bool wide = size_of(d.take_type()) == 8;
    d.take_slots(2);
    d.out.run = wide ? reverse_64 : reverse_32;
}
template <class Make>
void set_for_words(Decoder& d, Make make) {
    switch (d.take_type()) {
        case Type::s32:
            d.out.run = make(std::int32_t{});
            break;
        case Type::s64:
            d.out.run = make(std::int64_t{});
            break;
        case Type::u64:
            d.out.run = make(std::uint64_t{});
            break;
        default:
            d.out.run = make(std::uint32_t{});
    }
}
void decode_extract_field(Decoder& d) {
    set_for_words(d, [](auto zero) -> Handler { return extract_field<decltype(zero)>; });
    d.take_slots(4);
}
void decode_insert_field(Decoder& d) {
    const bool wide = size_of(d.take_type()) == 8;
    d.take_slots(5);
    d.out.run = wide ? insert_field<std::uint64_t> : insert_field<std::uint32_t>;
}
void decode_find_highest(Decoder& d) {
    d.out.flags = d.take("shiftamt") ? 1 : 0;
    set_for_words(d, [](auto zero) -> Handler { return find_highest<decltype(zero)>; });
    d.take_slots(2);
}

}  // namespace

std::vector<Row> bit_rows() {
    return {
        {"and", decode_logic<And>}, {"or", decode_logic<Or>},        {"xor", decode_logic<Xor>},   {"not", decode_not},
        {"cnot", decode_cnot},      {"shl", decode_shift},           {"shr", decode_shift},        {"shf", decode_funnel},
        {"prmt", decode_permute},   {"lop3", decode_logic_of_three}, {"popc", decode_population},  {"clz", decode_leading_zeros},
        {"brev", decode_reverse},   {"bfe", decode_extract_field},   {"bfi", decode_insert_field}, {"bfind", decode_find_highest},
    };
}

}  // namespace emulator::ptx

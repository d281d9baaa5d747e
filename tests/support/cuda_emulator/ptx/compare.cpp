// Comparisons, and choices by their results.
#include <algorithm>
#include <cmath>

#include "rounding.hpp"

namespace emulator::ptx {
namespace {

// The ordered comparisons are false with a NaN, those in ...u true.
struct Equal {
    template <class T>
    static bool of(T a, T b) {
        return a == b;
    }
};
struct NotEqual {
    template <class T>
    static bool of(T a, T b) {
        return a < b || a > b;
    }
};
struct Less {
    template <class T>
    static bool of(T a, T b) {
        return a < b;
    }
};
struct LessEqual {
    template <class T>
    static bool of(T a, T b) {
        return a <= b;
    }
};
struct Greater {
    template <class T>
    static bool of(T a, T b) {
        return a > b;
    }
};
struct GreaterEqual {
    template <class T>
    static bool of(T a, T b) {
        return a >= b;
    }
};
struct EqualOrNaN {
    template <class T>
    static bool of(T a, T b) {
        return !(a < b || a > b);
    }
};
template <class Opposite>
struct Not {
    template <class T>
    static bool of(T a, T b) {
        return !Opposite::of(a, b);
    }
};
struct BothNumbers {
    template <class T>
    static bool of(T a, T b) {
        return a == a && b == b;
    }
};

enum Combination : std::uint8_t { none, by_and, by_or, by_xor };

// What the comparison says, combined with a predicate where there is one.
template <class T, class Comparison>
bool outcome(const Machine& m, const Instruction& i, Slot a, Slot b, Slot c) {
    bool result;
    if constexpr (std::is_floating_point_v<T>) {
        const auto flags = static_cast<std::uint8_t>(i.extra);
        result = Comparison::of(flushed(m.get<T>(a), flags), flushed(m.get<T>(b), flags));
    } else {
        result = Comparison::of(m.get<T>(a), m.get<T>(b));
    }
    switch (i.flags) {
        case by_and:
            return result && m.get<bool>(c);
        case by_or:
            return result || m.get<bool>(c);
        case by_xor:
            return result != m.get<bool>(c);
        default:
            return result;
    }
}

template <class T, class Comparison>
void set_predicates(Machine& m, const Instruction& i) {
    const bool result = outcome<T, Comparison>(m, i, i.slots[2], i.slots[3], i.slots[4]);
    // p|q: q gets what the opposite comparison gives, combined in the same way.
    if (i.slots[1] != no_slot) m.set(i.slots[1], outcome<T, Not<Comparison>>(m, i, i.slots[2], i.slots[3], i.slots[4]));
    m.set(i.slots[0], result);
}

template <class T, class Comparison>
void set_number(Machine& m, const Instruction& i) {
    const bool result = outcome<T, Comparison>(m, i, i.slots[1], i.slots[2], i.slots[3]);
    const std::uint32_t yes = i.offset != 0 ? to_bits(1.0f) & 0xffffffff : 0xffffffffu;
    m.set(i.slots[0], result ? yes : 0u);
}

// Chooses the handler by the comparison's name; Make has a member template handler<T, Comparison>.
template <class Make>
Handler handler_for(Decoder& d, std::string_view comparison, Type type) {
    return with_type(type, [&](auto zero) -> Handler {
        using T = decltype(zero);
        if constexpr (!std::is_same_v<T, bool>) {
            if (comparison == "eq") return Make::template handler<T, Equal>();
            if (comparison == "ne") return Make::template handler<T, NotEqual>();
            if (comparison == "lt" || comparison == "lo") return Make::template handler<T, Less>();
            if (comparison == "le" || comparison == "ls") return Make::template handler<T, LessEqual>();
            if (comparison == "gt" || comparison == "hi") return Make::template handler<T, Greater>();
            if (comparison == "ge" || comparison == "hs") return Make::template handler<T, GreaterEqual>();
        }
        if constexpr (std::is_floating_point_v<T>) {
            if (comparison == "equ") return Make::template handler<T, EqualOrNaN>();
            if (comparison == "neu") return Make::template handler<T, Not<Equal>>();
            if (comparison == "ltu") return Make::template handler<T, Not<GreaterEqual>>();
            if (comparison == "leu") return Make::template handler<T, Not<Greater>>();
            if (comparison == "gtu") return Make::template handler<T, Not<LessEqual>>();
            if (comparison == "geu") return Make::template handler<T, Not<Less>>();
            if (comparison == "num") return Make::template handler<T, BothNumbers>();
            if (comparison == "nan") return Make::template handler<T, Not<BothNumbers>>();
        }
        d.refuse("this comparison of this type");
    });
}
struct Predicates {
    template <class T, class Comparison>
    static Handler handler() {
        return set_predicates<T, Comparison>;
    }
};
struct Number {
    template <class T, class Comparison>
    static Handler handler() {
        return set_number<T, Comparison>;
    }
};

std::string_view take_comparison(Decoder& d) {
    // "lo" means lower here.
    return d.take_one_of(
        {"eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"});
}
Combination take_combination(Decoder& d) {
    const std::string_view name = d.take_one_of({"and", "or", "xor"});
    return name == "and" ? by_and : name == "or" ? by_or : name == "xor" ? by_xor : none;
}

void decode_setp(Decoder& d) {
    const std::string_view comparison = take_comparison(d);
    const Combination combination = take_combination(d);
    d.out.extra = take_float_flags(d);
    const Type type = d.take_type();
    d.out.flags = combination;
    if (d.operands.size() != (combination == none ? 3u : 4u)) d.refuse("its number of operands");
    const auto& results = d.operands.front().slots;
    d.out.slots[0] = results.at(0);
    d.out.slots[1] = results.size() > 1 ? results[1] : no_slot;
    d.take_slots_from(1, 2);
    d.out.run = handler_for<Predicates>(d, comparison, type);
}

void decode_set(Decoder& d) {
    const std::string_view comparison = take_comparison(d);
    const Combination combination = take_combination(d);
    d.out.extra = take_float_flags(d);
    const Type result = d.take_type(), type = d.take_type();
    if (size_of(result) != 4) d.refuse("a result of this type");
    d.out.flags = combination;
    d.out.offset = result == Type::f32 ? 1 : 0;
    d.take_slots(combination == none ? 3 : 4);
    d.out.run = handler_for<Number>(d, comparison, type);
}

void select(Machine& m, const Instruction& i) {
    m.slots[i.slots[0]] = m.slots[m.get<bool>(i.slots[3]) ? i.slots[1] : i.slots[2]];
}
void decode_selp(Decoder& d) {
    d.take_type();
    d.take_slots(4);
    d.out.run = select;
}

template <class T>
void select_by_sign(Machine& m, const Instruction& i) {
    m.slots[i.slots[0]] = m.slots[flushed(m.get<T>(i.slots[3]), i.flags) >= 0 ? i.slots[1] : i.slots[2]];
}
void select_by_integer_sign(Machine& m, const Instruction& i) {
    m.slots[i.slots[0]] = m.slots[m.get<std::int32_t>(i.slots[3]) >= 0 ? i.slots[1] : i.slots[2]];
}
void decode_slct(Decoder& d) {
    d.out.flags = take_float_flags(d);
    d.take_type();
    const Type by = d.take_type();
    d.take_slots(4);
    d.out.run = by == Type::f32 ? select_by_sign<float> : select_by_integer_sign;
}

template <class T>
bool has_property(T value, std::uint8_t property) {
    switch (property) {
        case 0:
            return std::isfinite(value);
        case 1:
            return std::isinf(value);
        case 2:
            return !std::isnan(value);
        case 3:
            return std::isnan(value);
        case 4:
            return std::isnormal(value);
        default:
            return std::fpclassify(value) == FP_SUBNORMAL;
    }
}
template <class T>
void test_property(Machine& m, const Instruction& i) {
    m.set(i.slots[0], has_property(m.get<T>(i.slots[1]), i.flags));
}
void decode_testp(Decoder& d) {
    const std::initializer_list<std::string_view> properties = {"finite", "infinite", "number", "notanumber", "normal", "subnormal"};
    const auto* found = std::find(properties.begin(), properties.end(), d.take_one_of(properties));
    if (found == properties.end()) d.refuse("this property");
    d.out.flags = static_cast<std::uint8_t>(found - properties.begin());
    const Type type = d.take_type();
    d.take_slots(2);
    d.out.run = type == Type::f32 ? test_property<float> : test_property<double>;
}

}  // namespace

std::vector<Row> compare_rows() {
    return {{"setp", decode_setp}, {"set", decode_set}, {"selp", decode_selp}, {"slct", decode_slct}, {"testp", decode_testp}};
}

}  // namespace emulator::ptx

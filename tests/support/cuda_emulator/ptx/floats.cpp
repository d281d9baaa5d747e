// Floating point arithmetic. Approximate instructions give the exact value rounded, which differs from every device in the last bits.
#include <cmath>

#include "rounding.hpp"

namespace emulator::ptx {
namespace {

struct Add {
    template <class T>
    static T of(T a, T b) {
        return a + b;
    }
};
struct Sub {
    template <class T>
    static T of(T a, T b) {
        return a - b;
    }
};
struct Mul {
    template <class T>
    static T of(T a, T b) {
        return a * b;
    }
};
struct Div {
    template <class T>
    static T of(T a, T b) {
        return a / b;
    }
};
// A number wins over a NaN, +0 over -0.
struct Min {
    template <class T>
    static T of(T a, T b) {
        return a == b ? (std::signbit(a) ? a : b) : std::fmin(a, b);
    }
};
struct Max {
    template <class T>
    static T of(T a, T b) {
        return a == b ? (std::signbit(a) ? b : a) : std::fmax(a, b);
    }
};
struct MinOrNaN {
    template <class T>
    static T of(T a, T b) {
        return std::isnan(a) || std::isnan(b) ? std::numeric_limits<T>::quiet_NaN() : Min::of(a, b);
    }
};
struct MaxOrNaN {
    template <class T>
    static T of(T a, T b) {
        return std::isnan(a) || std::isnan(b) ? std::numeric_limits<T>::quiet_NaN() : Max::of(a, b);
    }
};
// copysign.f32 d, a, b: the sign of a, the size of b.
struct CopySign {
    template <class T>
    static T of(T a, T b) {
        return std::copysign(b, a);
    }
};
struct Fma {
    template <class T>
    static T of(T a, T b, T c) {
        return std::fma(a, b, c);
    }
};
struct Neg {
    template <class T>
    static T of(T a) {
        return -a;
    }
};
struct Abs {
    template <class T>
    static T of(T a) {
        return std::fabs(a);
    }
};
struct Sqrt {
    template <class T>
    static T of(T a) {
        return std::sqrt(a);
    }
};
struct RSqrt {
    template <class T>
    static T of(T a) {
        return static_cast<T>(1 / std::sqrt(static_cast<double>(a)));
    }
};
struct Reciprocal {
    template <class T>
    static T of(T a) {
        return 1 / a;
    }
};
struct Exp2 {
    template <class T>
    static T of(T a) {
        return std::exp2(a);
    }
};
struct Log2 {
    template <class T>
    static T of(T a) {
        return std::log2(a);
    }
};
struct Sin {
    template <class T>
    static T of(T a) {
        return std::sin(a);
    }
};
struct Cos {
    template <class T>
    static T of(T a) {
        return std::cos(a);
    }
};
struct Tanh {
    template <class T>
    static T of(T a) {
        return std::tanh(a);
    }
};

template <class T, class Operation, class... Slots>
void plain(Machine& m, const Instruction& i, Slots... slots) {
    m.set(i.slots[0], Operation::of(m.get<T>(i.slots[static_cast<std::size_t>(slots)])...));
}

// volatile, so that the compiler leaves the operation where the rounding mode is set.
template <class T, class Operation, class... Slots>
void adjusted(Machine& m, const Instruction& i, Slots... slots) {
    const Rounding rounding(i.flags);
    const auto input = [&](int slot) {
        const volatile T value = flushed(m.get<T>(i.slots[static_cast<std::size_t>(slot)]), i.flags);
        return T{value};
    };
    const volatile T result = Operation::of(input(slots)...);
    m.set(i.slots[0], finished(T{result}, i.flags));
}

template <class T, class Operation, int operands, bool is_plain>
void execute(Machine& m, const Instruction& i) {
    const auto go = [&](auto... slots) {
        if constexpr (is_plain) {
            plain<T, Operation>(m, i, slots...);
        } else {
            adjusted<T, Operation>(m, i, slots...);
        }
    };
    if constexpr (operands == 1) go(1);
    if constexpr (operands == 2) go(1, 2);
    if constexpr (operands == 3) go(1, 2, 3);
}

template <class Operation, int operands>
void decode_operation(Decoder& d) {
    d.out.flags = take_float_flags(d);
    const Type type = d.take_type();
    d.take_slots(operands + 1);
    const bool is_plain = d.out.flags == 0;
    if (type == Type::f32) {
        d.out.run = is_plain ? execute<float, Operation, operands, true> : execute<float, Operation, operands, false>;
    } else if (type == Type::f64) {
        d.out.run = is_plain ? execute<double, Operation, operands, true> : execute<double, Operation, operands, false>;
    } else {
        d.refuse("this type");
    }
}

template <class Operation, int operands>
void decode_approximate(Decoder& d) {
    d.take_one_of({"approx", "full"});
    decode_operation<Operation, operands>(d);
}

template <class Plain, class OrNaN>
void decode_extreme(Decoder& d) {
    d.take("NaN") ? decode_operation<OrNaN, 2>(d) : decode_operation<Plain, 2>(d);
}

}  // namespace

void decode_float(Decoder& d) {
    if (d.opcode == "add") return decode_operation<Add, 2>(d);
    if (d.opcode == "sub") return decode_operation<Sub, 2>(d);
    if (d.opcode == "mul") return decode_operation<Mul, 2>(d);
    if (d.opcode == "mad") return decode_operation<Fma, 3>(d);
    if (d.opcode == "div") return decode_approximate<Div, 2>(d);
    if (d.opcode == "min") return decode_extreme<Min, MinOrNaN>(d);
    if (d.opcode == "max") return decode_extreme<Max, MaxOrNaN>(d);
    if (d.opcode == "neg") return decode_operation<Neg, 1>(d);
    if (d.opcode == "abs") return decode_operation<Abs, 1>(d);
    d.refuse("of floats");
}

std::vector<Row> float_rows() {
    return {
        {"fma", decode_operation<Fma, 3>},       {"copysign", decode_operation<CopySign, 2>}, {"sqrt", decode_approximate<Sqrt, 1>},
        {"rsqrt", decode_approximate<RSqrt, 1>}, {"rcp", decode_approximate<Reciprocal, 1>},  {"ex2", decode_approximate<Exp2, 1>},
        {"lg2", decode_approximate<Log2, 1>},    {"sin", decode_approximate<Sin, 1>},         {"cos", decode_approximate<Cos, 1>},
        {"tanh", decode_approximate<Tanh, 1>},
    };
}

}  // namespace emulator::ptx

// atom and red.
#include <algorithm>
#include <cstring>

#include "memory.hpp"

namespace emulator::ptx {
namespace {

struct Add {
    template <class T>
    static T of(T old, T value, T) {
        if constexpr (std::is_floating_point_v<T>) {
            return old + value;
        } else {
            return static_cast<T>(to_bits(old) + to_bits(value));
        }
    }
};
struct Min {
    template <class T>
    static T of(T old, T value, T) {
        return std::min(old, value);
    }
};
struct Max {
    template <class T>
    static T of(T old, T value, T) {
        return std::max(old, value);
    }
};
struct Exchange {
    template <class T>
    static T of(T, T value, T) {
        return value;
    }
};
struct CompareAndSwap {
    template <class T>
    static T of(T old, T expected, T value) {
        return old == expected ? value : old;
    }
};
struct And {
    template <class T>
    static T of(T old, T value, T) {
        return static_cast<T>(old & value);
    }
};
struct Or {
    template <class T>
    static T of(T old, T value, T) {
        return static_cast<T>(old | value);
    }
};
struct Xor {
    template <class T>
    static T of(T old, T value, T) {
        return static_cast<T>(old ^ value);
    }
};
// Wrap around at a limit: up to it, or down from it.
struct Increment {
    template <class T>
    static T of(T old, T limit, T) {
        return old >= limit ? T{0} : static_cast<T>(old + 1);
    }
};
struct Decrement {
    template <class T>
    static T of(T old, T limit, T) {
        return old == 0 || old > limit ? limit : static_cast<T>(old - 1);
    }
};

// slots: the result, the address's base, then the operands.
template <class T, class Operation, Space space>
void update(Machine& m, const Instruction& i) {
    unsigned char* address = address_of(m, i, i.slots[1], space);
    check_access(m, i, address, sizeof(T), checker::Kind::atomic);
    T old;
    std::memcpy(&old, address, sizeof old);
    const T next = Operation::of(old, m.get<T>(i.slots[2]), m.get<T>(i.slots[3]));
    std::memcpy(address, &next, sizeof next);
    m.set(i.slots[0], old);
}

template <class Operation, bool floats_too>
Handler handler_for(Decoder& d, Type type, Space space) {
    return with_type(type, [&](auto zero) -> Handler {
        using T = decltype(zero);
        if constexpr (std::is_integral_v<T> ? sizeof(T) >= 4 : floats_too) {
            return space == Space::shared ? update<T, Operation, Space::shared> : update<T, Operation, Space::global>;
        } else {
            d.refuse("this type");
        }
    });
}

Handler handler_named(Decoder& d, std::string_view operation, Type type, Space space) {
    if (operation == "add") return handler_for<Add, true>(d, type, space);
    if (operation == "min") return handler_for<Min, false>(d, type, space);
    if (operation == "max") return handler_for<Max, false>(d, type, space);
    if (operation == "exch") return handler_for<Exchange, false>(d, type, space);
    if (operation == "cas") return handler_for<CompareAndSwap, false>(d, type, space);
    if (operation == "and") return handler_for<And, false>(d, type, space);
    if (operation == "or") return handler_for<Or, false>(d, type, space);
    if (operation == "xor") return handler_for<Xor, false>(d, type, space);
    if (operation == "inc") return handler_for<Increment, false>(d, type, space);
    if (operation == "dec") return handler_for<Decrement, false>(d, type, space);
    d.refuse("this operation");
}

void decode_atomic(Decoder& d) {
    const bool has_result = d.opcode == "atom";
    const Space space = take_space(d);
    const std::string_view operation = d.take_one_of({"add", "min", "max", "exch", "cas", "and", "or", "xor", "inc", "dec"});
    const std::size_t first = has_result ? 1 : 0;
    if (d.operands.size() != first + (operation == "cas" ? 3 : 2)) d.refuse("its number of operands");
    d.out.slots.fill(d.scratch);
    if (has_result) d.out.slots[0] = d.operands[0].slots.at(0);
    d.take_address(first, 1);
    d.take_slots_from(first + 1, 2);
    d.out.run = handler_named(d, operation, d.take_type(), space);
}

}  // namespace

std::vector<Row> atomic_rows() {
    return {{"atom", decode_atomic}, {"red", decode_atomic}};
}

}  // namespace emulator::ptx

// Loads, stores, moves and conversions of addresses.
#include "memory.hpp"

#include <cstring>

namespace emulator::ptx {
namespace {

template <class T>
std::uint64_t loaded(const unsigned char* address) {
    T value;
    std::memcpy(&value, address, sizeof value);
    return to_bits(value);
}

// slots: the address's base, then the results.
template <class T, Space space>
void load(Machine& m, const Instruction& i) {
    const unsigned char* address = address_of(m, i, i.slots[0], space);
    if (space != Space::unchecked) check_access(m, i, address, sizeof(T) * i.extra, checker::Kind::read);
    for (std::size_t n = 0; n < i.extra; ++n) m.slots[i.slots[1 + n]] = loaded<T>(address + n * sizeof(T));
}
template <class T, Space space>
void store(Machine& m, const Instruction& i) {
    unsigned char* address = address_of(m, i, i.slots[0], space);
    if (space != Space::unchecked) check_access(m, i, address, sizeof(T) * i.extra, checker::Kind::write);
    for (std::size_t n = 0; n < i.extra; ++n) {
        const T value = m.get<T>(i.slots[1 + n]);
        std::memcpy(address + n * sizeof(T), &value, sizeof value);
    }
}

template <class T>
Handler load_from(Space space) {
    return space == Space::shared ? load<T, Space::shared> : space == Space::global ? load<T, Space::global> : load<T, Space::unchecked>;
}
template <class T>
Handler store_to(Space space) {
    return space == Space::shared ? store<T, Space::shared> : space == Space::global ? store<T, Space::global> : store<T, Space::unchecked>;
}

void take_elements(Decoder& d, std::size_t operand) {
    const std::string_view vector = d.take_one_of({"v2", "v4"});
    const auto& slots = d.operands.at(operand).slots;
    d.out.extra = vector == "v2" ? 2 : vector == "v4" ? 4 : 1;
    if (slots.size() != d.out.extra) d.refuse("its number of elements");
    std::copy(slots.begin(), slots.end(), d.out.slots.begin() + 1);
}

void decode_load(Decoder& d) {
    const Space space = take_space(d);
    if (d.operands.size() != 2) d.refuse("its operands");
    take_elements(d, 0);
    d.take_address(1, 0);
    d.out.run = with_type(d.take_type(), [=](auto zero) -> Handler { return load_from<decltype(zero)>(space); });
}
void decode_store(Decoder& d) {
    const Space space = take_space(d);
    if (d.operands.size() != 2) d.refuse("its operands");
    take_elements(d, 1);
    d.take_address(0, 0);
    d.out.run = with_type(d.take_type(), [=](auto zero) -> Handler { return store_to<decltype(zero)>(space); });
}

void move(Machine& m, const Instruction& i) {
    m.slots[i.slots[0]] = m.slots[i.slots[1]];
}

// mov.b64 {low, high}, d and its opposite; extra is the number of parts, offset the bits of each.
void unpack(Machine& m, const Instruction& i) {
    const auto bits = static_cast<unsigned>(i.offset);
    const std::uint64_t whole = m.slots[i.slots[0]], mask = (std::uint64_t{1} << bits) - 1;
    for (std::size_t n = 0; n < i.extra; ++n) m.slots[i.slots[1 + n]] = whole >> n * bits & mask;
}
void pack(Machine& m, const Instruction& i) {
    const auto bits = static_cast<unsigned>(i.offset);
    std::uint64_t whole = 0;
    for (std::size_t n = 0; n < i.extra; ++n) whole |= (m.slots[i.slots[1 + n]] & ((std::uint64_t{1} << bits) - 1)) << n * bits;
    m.slots[i.slots[0]] = whole;
}

void decode_move(Decoder& d) {
    const Type type = d.take_type();
    if (d.operands.size() != 2) d.refuse("its operands");
    const std::size_t parts_of_result = d.operands[0].slots.size(), parts = d.operands[1].slots.size();
    if (parts_of_result == 1 && parts == 1) {
        d.take_slots(2);
        d.out.run = move;
        return;
    }
    const bool unpacks = parts_of_result > 1;
    const auto& many = d.operands[unpacks ? 0 : 1].slots;
    d.out.slots[0] = d.operands[unpacks ? 1 : 0].slots.at(0);
    std::copy(many.begin(), many.end(), d.out.slots.begin() + 1);
    d.out.extra = static_cast<std::uint32_t>(many.size());
    d.out.offset = static_cast<std::int64_t>(size_of(type) * 8 / many.size());
    d.out.run = unpacks ? unpack : pack;
}

void to_shared(Machine& m, const Instruction& i) {
    m.slots[i.slots[0]] = m.slots[i.slots[1]] - reinterpret_cast<std::uintptr_t>(shared_memory());
}
void from_shared(Machine& m, const Instruction& i) {
    m.slots[i.slots[0]] = m.slots[i.slots[1]] + reinterpret_cast<std::uintptr_t>(shared_memory());
}
// Only shared addresses differ from generic ones.
void decode_convert_address(Decoder& d) {
    const bool to = d.take("to");
    const Space space = take_space(d);
    d.take_type();
    d.take_slots(2);
    d.out.run = space != Space::shared ? move : to ? to_shared : from_shared;
}

void nothing(Machine&, const Instruction&) {}
void decode_nothing(Decoder& d) {
    d.modifiers.clear();
    d.out.run = nothing;
}

}  // namespace

Space take_space(Decoder& d) {
    d.take_one_of({"relaxed", "acquire", "release", "acq_rel", "weak", "volatile"});
    d.take_one_of({"cta", "gpu", "sys", "cluster"});
    d.take_one_of({"ca", "cg", "cs", "lu", "cv", "wb", "wt", "nc"});
    std::erase_if(d.modifiers, [](std::string_view m) {
        return m.starts_with("L1::") || m.starts_with("L2::") || m == "nc";  // hints
    });
    if (d.take_one_of({"shared", "shared::cta"}) != "") return Space::shared;
    if (d.take_one_of({"param", "param::entry", "param::func", "local", "const"}) != "") return Space::unchecked;
    d.take("global");
    return Space::global;
}

const Where& place_of(const Machine& m, const Instruction& i) {
    return m.function->places[i.place];
}

std::vector<Row> memory_rows() {
    return {
        {"ld", decode_load},
        {"ldu", decode_load},
        {"st", decode_store},
        {"mov", decode_move},
        {"cvta", decode_convert_address},
        {"membar", decode_nothing},
        {"fence", decode_nothing},
        {"prefetch", decode_nothing},
        {"prefetchu", decode_nothing},
        {"nanosleep", decode_nothing},
    };
}

}  // namespace emulator::ptx

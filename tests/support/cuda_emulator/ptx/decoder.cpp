// The table of all opcodes, and what all families need.
#include "decoder.hpp"

#include <algorithm>
#include <map>

#include "text.hpp"

namespace emulator::ptx {
namespace {

std::map<std::string_view, void (*)(Decoder&)> all_rows() {
    std::map<std::string_view, void (*)(Decoder&)> rows;
    for (const auto& family : {integer_rows(), bit_rows(), float_rows(), compare_rows(), convert_rows(), memory_rows(), atomic_rows(),
                               copy_async_rows(), group_rows()}) {
        for (const Row& row : family) rows.emplace(row.opcode, row.decode);
    }
    return rows;
}

}  // namespace

bool Decoder::take(std::string_view modifier) {
    const auto found = std::find(modifiers.begin(), modifiers.end(), modifier);
    if (found == modifiers.end()) return false;
    modifiers.erase(found);
    return true;
}

std::string_view Decoder::take_one_of(std::initializer_list<std::string_view> candidates) {
    for (const std::string_view candidate : candidates) {
        if (take(candidate)) return candidate;
    }
    return "";
}

Type Decoder::take_type() {
    const auto found = std::find_if(modifiers.begin(), modifiers.end(), [](std::string_view m) { return type_named(m).has_value(); });
    if (found == modifiers.end()) refuse("a type is missing");
    const Type type = *type_named(*found);
    modifiers.erase(found);
    return type;
}

void Decoder::take_slots(std::size_t count) {
    if (operands.size() != count) refuse("not " + std::to_string(count) + " operands");
    take_slots_from(0, 0);
}

void Decoder::take_slots_from(std::size_t first, std::size_t at) {
    for (std::size_t n = first; n < operands.size(); ++n) {
        if (operands[n].kind != Operand::Kind::value || operands[n].slots.size() != 1) refuse("an operand of another kind");
        out.slots.at(at++) = operands[n].slots.front();
    }
}

void Decoder::take_address(std::size_t operand, std::size_t at) {
    if (operand >= operands.size() || operands[operand].kind != Operand::Kind::address) refuse("an address is missing");
    out.slots.at(at) = operands[operand].slots.front();
    out.offset = operands[operand].offset;
}

void Decoder::refuse(const std::string& what) const {
    unsupported(file, line, std::string(opcode) + ": " + what);
}

void decode(Decoder& decoder) {
    static const auto rows = all_rows();
    const auto row = rows.find(decoder.opcode);
    if (row == rows.end()) unsupported(decoder.file, decoder.line, "opcode " + std::string(decoder.opcode));
    row->second(decoder);
    if (!decoder.modifiers.empty()) decoder.refuse("modifier " + std::string(decoder.modifiers.front()));
}

std::optional<Type> type_named(std::string_view name) {
    static const std::map<std::string_view, Type> types = {{"pred", Type::pred}, {"b8", Type::u8},   {"u8", Type::u8},   {"s8", Type::s8},
                                                           {"b16", Type::u16},   {"u16", Type::u16}, {"s16", Type::s16}, {"b32", Type::u32},
                                                           {"u32", Type::u32},   {"s32", Type::s32}, {"f32", Type::f32}, {"b64", Type::u64},
                                                           {"u64", Type::u64},   {"s64", Type::s64}, {"f64", Type::f64}};
    const auto found = types.find(name);
    return found == types.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace emulator::ptx

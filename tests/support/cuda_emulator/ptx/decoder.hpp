// From an instruction's text to its executable form. Each family of instructions has a file with a table of its opcodes and what decodes
// them; a modifier that nobody takes is an error, so nothing is ever skipped in silence.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "program.hpp"

namespace emulator::ptx {

struct Operand {
    enum class Kind : std::uint8_t { value, address, name };
    Kind kind = Kind::value;
    std::vector<Slot> slots;  // {a, b} and d|p have several; of an address the base
    std::int64_t offset = 0;
    std::string_view name;  // of a label or function
};

/// An instruction that is being decoded.
struct Decoder {
    std::string_view opcode;                  // "mad"
    std::vector<std::string_view> modifiers;  // "lo", "s32"; those taken are gone
    std::vector<Operand> operands;
    Instruction& out;
    std::string file;
    int line;
    Slot scratch;  // for results that nobody wants

    /// True if the modifier was there.
    bool take(std::string_view modifier);
    /// The one that was there; "" if none.
    std::string_view take_one_of(std::initializer_list<std::string_view> modifiers);
    /// The next modifier that is a type. An error if there is none.
    Type take_type();
    /// All operands as slots, in their order; an error if they are not `count` values.
    void take_slots(std::size_t count);
    /// Operands from `first` on, into out.slots from `at` on.
    void take_slots_from(std::size_t first, std::size_t at);
    void take_address(std::size_t operand, std::size_t at);
    [[noreturn]] void refuse(const std::string& what) const;
};

struct Row {
    std::string_view opcode;
    void (*decode)(Decoder&);
};

// The families. Branches and calls are the parser's, as they need labels and functions.
std::vector<Row> integer_rows();
std::vector<Row> bit_rows();
std::vector<Row> float_rows();
std::vector<Row> compare_rows();
std::vector<Row> convert_rows();
std::vector<Row> memory_rows();
std::vector<Row> atomic_rows();
std::vector<Row> copy_async_rows();
std::vector<Row> group_rows();

/// make(T{}) for the C++ type of an integer type that is no predicate.
template <class Make>
Handler handler_for_integer(const Decoder& d, Type type, Make make) {
    if (is_float(type)) d.refuse("of floats");
    return with_integer(type, [&](auto zero) -> Handler {
        if constexpr (std::is_same_v<decltype(zero), bool>) {
            d.refuse("of predicates");
        } else {
            return make(zero);
        }
    });
}

/// Opcodes like "add" whose decoding depends on whether the type is a float.
void decode_float(Decoder& decoder);

/// Finds the family by the opcode and lets it decode.
void decode(Decoder& decoder);

}  // namespace emulator::ptx

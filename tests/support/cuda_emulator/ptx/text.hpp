// PTX text as tokens with their lines.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "../where.hpp"

namespace emulator::ptx {

struct Token {
    std::string_view text;
    int line;
};

/// Names with their dots ("mad.lo.s32", "%r1", "$L__BB0_2"), numbers, quoted strings, single marks. Comments are dropped. The views point
/// into `text`.
std::vector<Token> tokens_of(std::string_view text);

/// Throws an Error that names the place in the PTX.
[[noreturn]] void unsupported(const std::string& file, int line, const std::string& what);

/// What an integer or the bits of a float in the text say: 12, -1, 0x10, 0U, 0f3F800000, 0d3FF0000000000000.
std::uint64_t number_of(std::string_view text);

bool is_number(std::string_view text);

}  // namespace emulator::ptx

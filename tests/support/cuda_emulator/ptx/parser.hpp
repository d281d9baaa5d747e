// From the text of a PTX file to a module.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "program.hpp"
#include "stream.hpp"

namespace emulator::ptx {

/// `file` is a name for messages, without folders. Throws an Error for what the interpreter does not know.
std::unique_ptr<Module> parse_module(const std::string& file, std::string_view text);

/// What a name in the text means.
struct Symbol {
    enum class Kind : std::uint8_t { slot, parameter, local, module_shared, kernel_shared, dynamic_shared, data };
    Kind kind;
    std::uint64_t value;      // the slot, an offset, or an address
    std::uint32_t bytes = 0;  // of a parameter
};
using Symbols = std::map<std::string, Symbol, std::less<>>;

/// A function's body, from behind its "{" to its "}".
void parse_body(TokenStream& stream, Module& module, const Symbols& module_symbols, Symbols formal_parameters, Function& function);

/// Places `bytes` at the next multiple of `alignment`; `top` becomes the end.
std::uint32_t place_after(std::uint32_t& top, std::uint32_t alignment, std::uint32_t bytes);

}  // namespace emulator::ptx

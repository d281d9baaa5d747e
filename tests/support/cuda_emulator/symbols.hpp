// What the program's own symbol table and debug information say: names of functions and shared variables, lines of addresses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "memory_range.hpp"

namespace emulator {

struct SharedVariable {
    MemoryRange range;
    std::string name;  // as in the source
};

/// Where the program was loaded: what debug information calls 0.
std::uintptr_t load_address();

/// The mangled name of a function or variable of the program; "" if it has none.
std::string symbol_name(const void* address);

/// "file.cu:12" of the code that returns to `address`, without folders; "?" without debug information or addr2line.
std::string source_line(std::uintptr_t offset_from_load_address);

/// All thread-local variables of functions: the `__shared__` ones. In the order of their addresses.
const std::vector<SharedVariable>& shared_variables();

}  // namespace emulator

// A place in the source, and the error that every check of the emulator throws. std::source_location, but clang 14 has none.
#pragma once

#include <stdexcept>
#include <string>

namespace emulator {

struct Where {
    const char* file = "";
    int line = 0;
    static constexpr Where current(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
    [[nodiscard]] bool is_same_as(const Where& other) const;
};

/// "kernel.cu:12": without the folders, so that messages do not depend on where the repository lies.
std::string place(const Where& where);

class Error : public std::runtime_error {
public:
    explicit Error(const std::string& message) : std::runtime_error("CUDA emulator: " + message) {}
};

/// Ends the kernel that runs, or throws at once where none does. The launch throws an Error with the message.
[[noreturn]] void fail(const std::string& message);

}  // namespace emulator

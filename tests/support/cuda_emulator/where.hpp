// A place in the source, and the error that every check of the emulator throws. std::source_location, but clang 14 has none.
#pragma once

#include <concepts>
#include <stdexcept>
#include <string>
#include <string_view>

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

/// Ends the kernel that runs, or throws at once where none does. The launch throws an Error with the message. Nothing on the caller's stack
/// is destroyed, so that this works anywhere in a kernel, also in functions that must not throw.
[[noreturn]] void stop(std::string&& message);

inline void append(std::string& text, std::string_view part) {
    text += part;
}
inline void append(std::string& text, const Where& part) {
    text += place(part);
}
void append(std::string& text, std::integral auto part) {
    text += std::to_string(part);
}

/// stop() with the parts' texts. As parts, and not as a text, so that the caller's frame holds no memory.
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
    std::string message;
    (append(message, parts), ...);
    stop(std::move(message));
}

}  // namespace emulator

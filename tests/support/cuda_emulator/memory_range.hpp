// A stretch of memory.
#pragma once

#include <cstddef>

namespace emulator {

struct MemoryRange {
    const char* begin = nullptr;
    std::size_t bytes = 0;
    [[nodiscard]] bool contains(const void* address) const {
        return static_cast<std::size_t>(static_cast<const char*>(address) - begin) < bytes;
    }
    [[nodiscard]] const char* end() const { return begin + bytes; }
};

}  // namespace emulator

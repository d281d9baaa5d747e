// A call's place in the source. std::source_location, but clang 14 (and so clang-tidy) has none.
#pragma once

namespace silosum::cuda {

struct Where {
    const char* file = "";
    int line = 0;
    static constexpr Where current(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
};

}  // namespace silosum::cuda

// The tokens of a PTX file, one after the other, and declarations of variables, which look the same in all state spaces.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text.hpp"
#include "types.hpp"

namespace emulator::ptx {

class TokenStream {
public:
    TokenStream(std::string file, std::vector<Token> tokens) : file_(std::move(file)), tokens_(std::move(tokens)) {}

    [[nodiscard]] bool at_end() const { return at_ >= tokens_.size(); }
    /// The next token, or the one after `ahead` others; "" behind the last.
    [[nodiscard]] std::string_view peek(std::size_t ahead = 0) const;
    [[nodiscard]] int line() const;
    [[nodiscard]] const std::string& file() const { return file_; }
    std::string_view next();
    /// True, and the token is gone, if it is this one.
    bool take(std::string_view text);
    void expect(std::string_view text);
    /// The rest of the line that the last token was on.
    std::vector<std::string_view> rest_of_line();
    std::uint64_t number();
    [[noreturn]] void refuse(const std::string& what) const { unsupported(file_, line(), what); }

private:
    std::string file_;
    std::vector<Token> tokens_;
    std::size_t at_ = 0;
};

struct Declaration {
    std::string_view name;
    Type type = Type::u8;
    std::uint32_t alignment = 1, bytes = 0;  // no bytes: of a size that is not known, as dynamic shared memory
    std::uint32_t registers = 0;             // name<n>: so many, with their numbers behind the name; 0 for one of that name
    std::vector<std::uint64_t> values;       // after "="
};

/// What follows .reg, .param, .shared, .local, .const or .global, up to but without what ends it.
Declaration parse_declaration(TokenStream& stream);

}  // namespace emulator::ptx

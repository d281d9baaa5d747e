// Reads tokens and declarations.
#include "stream.hpp"

#include <algorithm>

namespace emulator::ptx {
namespace {

void parse_values(TokenStream& stream, std::vector<std::uint64_t>& values) {
    const bool braces = stream.take("{");
    do {
        if (braces && stream.peek() == "{") {
            parse_values(stream, values);
            continue;
        }
        const bool negative = stream.take("-");
        if (!is_number(stream.peek())) stream.refuse("initial value " + std::string(stream.peek()));
        const std::uint64_t value = stream.number();
        values.push_back(negative ? 0 - value : value);
    } while (braces && stream.take(","));
    if (braces) stream.expect("}");
}

}  // namespace

std::string_view TokenStream::peek(std::size_t ahead) const {
    return at_ + ahead < tokens_.size() ? tokens_[at_ + ahead].text : "";
}

int TokenStream::line() const {
    return tokens_.empty() ? 0 : tokens_[std::min(at_, tokens_.size() - 1)].line;
}

std::string_view TokenStream::next() {
    if (at_end()) refuse("the file ends too early");
    return tokens_[at_++].text;
}

bool TokenStream::take(std::string_view text) {
    if (peek() != text) return false;
    ++at_;
    return true;
}

void TokenStream::expect(std::string_view text) {
    if (!take(text)) refuse("\"" + std::string(peek()) + "\" where \"" + std::string(text) + "\" is expected");
}

std::vector<std::string_view> TokenStream::rest_of_line() {
    std::vector<std::string_view> rest;
    const int line = at_ > 0 ? tokens_[at_ - 1].line : 0;
    while (!at_end() && tokens_[at_].line == line) rest.push_back(next());
    return rest;
}

std::uint64_t TokenStream::number() {
    return number_of(next());
}

Declaration parse_declaration(TokenStream& stream) {
    Declaration result;
    bool has_type = false;
    std::uint32_t elements = 1;
    while (stream.peek().starts_with('.')) {
        const std::string_view word = stream.next().substr(1);
        const auto type = type_named(word);
        if (type.has_value() && !has_type) {
            has_type = true;
            result.type = *type;
            result.alignment = std::max(result.alignment, size_of(*type));
        } else if (word == "align") {
            const auto alignment = static_cast<std::uint32_t>(stream.number());
            // Behind the type it is that of what a pointer points to.
            if (!has_type) result.alignment = alignment;
        } else if (word == "v2" || word == "v4") {
            elements = word == "v2" ? 2 : 4;
        } else if (word != "ptr" && word != "global" && word != "shared" && word != "const" && word != "local" && word != "generic") {
            stream.refuse("declaration with ." + std::string(word));
        }
    }
    result.name = stream.next();
    if (stream.take("<")) {
        result.registers = static_cast<std::uint32_t>(stream.number());
        stream.expect(">");
    }
    while (stream.take("[")) {
        elements *= is_number(stream.peek()) ? static_cast<std::uint32_t>(stream.number()) : 0;
        stream.expect("]");
    }
    result.bytes = elements * size_of(result.type);
    if (stream.take("=")) parse_values(stream, result.values);
    return result;
}

}  // namespace emulator::ptx

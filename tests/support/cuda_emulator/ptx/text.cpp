// Cuts the text into tokens.
#include "text.hpp"

#include <cctype>
#include <cstdint>

namespace emulator::ptx {
namespace {

bool is_name_character(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' || c == '%' || c == '.' || c == ':';
}

// Where a token that begins at `at` ends.
std::size_t end_of_token(std::string_view text, std::size_t at) {
    if (text[at] == '"') return text.find('"', at + 1) + 1;
    if (!is_name_character(text[at]) || text[at] == ':') return at + 1;
    std::size_t end = at;
    while (end < text.size() && is_name_character(text[end])) {
        // "shared::cta" is one name, "label:" is not.
        if (text[end] == ':') {
            if (end + 1 >= text.size() || text[end + 1] != ':') break;
            ++end;
        }
        ++end;
    }
    return end;
}

}  // namespace

std::vector<Token> tokens_of(std::string_view text) {
    std::vector<Token> tokens;
    int line = 1;
    for (std::size_t at = 0; at < text.size();) {
        if (text[at] == '\n') ++line;
        if (std::isspace(static_cast<unsigned char>(text[at])) != 0) {
            ++at;
        } else if (text.substr(at, 2) == "//") {
            at = std::min(text.find('\n', at), text.size());
        } else if (text.substr(at, 2) == "/*") {
            const std::size_t end = std::min(text.find("*/", at), text.size() - 2) + 2;
            for (; at < end; ++at) line += text[at] == '\n' ? 1 : 0;
        } else {
            const std::size_t end = end_of_token(text, at);
            tokens.push_back({text.substr(at, end - at), line});
            at = end;
        }
    }
    return tokens;
}

void unsupported(const std::string& file, int line, const std::string& what) {
    throw Error("PTX not supported: " + file + ":" + std::to_string(line) + ": " + what);
}

bool is_number(std::string_view text) {
    return !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) != 0;
}

std::uint64_t number_of(std::string_view text) {
    const std::string digits(text);
    if (digits.starts_with("0f") || digits.starts_with("0F") || digits.starts_with("0d") || digits.starts_with("0D")) {
        return std::stoull(digits.substr(2), nullptr, 16);
    }
    return std::stoull(digits, nullptr, 0);
}

}  // namespace emulator::ptx

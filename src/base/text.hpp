// Small helpers for words in messages.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace silosum {

/// The candidate closest to the word by edit distance, or "" where none is near enough to be what was meant.
[[nodiscard]] std::string nearest_name(std::string_view word, std::span<const std::string> candidates);

/// `unknown WHAT "word"; did you mean "x"? known: a, b, c`
[[nodiscard]] std::string unknown_name(std::string_view what, std::string_view word, std::span<const std::string> known);

/// "1 rank", "3 ranks"
[[nodiscard]] std::string counted(std::size_t count, std::string_view what);

/// "1.5 MiB": bytes for people, from KiB on.
[[nodiscard]] std::string size_text(double bytes);

/// As a field of a CSV line: in quotes where it has to be (RFC 4180).
[[nodiscard]] std::string csv_field(const std::string& text);

[[nodiscard]] std::vector<std::string> split(std::string_view text, char separator);
/// The first byte that is not UTF-8 (Unicode 15, table 3-7), or npos.
[[nodiscard]] std::size_t first_not_utf8(std::string_view text);

[[nodiscard]] std::string trim(std::string_view text);
[[nodiscard]] std::string join(std::span<const std::string> words, std::string_view separator);

}  // namespace silosum

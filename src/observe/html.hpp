// Pages of HTML that stand alone: style inside, no script, nothing fetched. Readable on a screen, light or dark, and on paper.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace silosum::html {

/// Text that is only text, between tags and inside quoted attributes: names come from files that anyone may have written. What is not
/// UTF-8, and what HTML forbids, becomes U+FFFD.
[[nodiscard]] std::string escape(std::string_view text);

struct Cell {
    std::string text;
    std::string kind = {};  // "number" (right), "hash" (fixed width), "differs" (marked); several with blanks between
};

struct Table {
    std::string caption;
    std::vector<std::string> columns;
    std::vector<std::vector<Cell>> rows;  // the first cell of a row is its heading
    bool is_dense = false;                // many columns, of which the last has words
};

[[nodiscard]] std::string table(const Table& table);
/// A paragraph of text.
[[nodiscard]] std::string paragraph(std::string_view text, std::string_view kind = "");
/// Something long that is folded until it is asked for. body: HTML.
[[nodiscard]] std::string folded(std::string_view title, std::string_view body);
/// The whole file. format: stands in its second line, so that the program knows its own files. body: HTML.
[[nodiscard]] std::string page(std::string_view format, std::string_view title, std::string_view body);

}  // namespace silosum::html

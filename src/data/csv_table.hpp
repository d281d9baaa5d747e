// A CSV file (RFC 4180) in memory: a header and cells.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace silosum {

/// Fields may be quoted with "", then hold separators, line ends and doubled quotes; lines end with LF, CR LF or CR. Blanks around unquoted
/// fields are not part of them, empty lines are skipped, and a UTF-8 byte order mark is ignored.
class CsvTable {
public:
    /// Reads a plain or gzip file. Without `header`, the first line names the columns ("unnamed-3" where it
    /// leaves a name out). DataError names file and line.
    CsvTable(const std::filesystem::path& path, char separator, const std::vector<std::string>& header = {});

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    [[nodiscard]] const std::vector<std::string>& header() const { return header_; }
    [[nodiscard]] std::size_t rows() const { return line_of_row_.size(); }
    [[nodiscard]] std::string_view cell(std::size_t row, std::size_t column) const { return cells_[row * header_.size() + column]; }
    /// Line of the file on which the row begins, from 1.
    [[nodiscard]] std::size_t line(std::size_t row) const { return line_of_row_[row]; }

private:
    void check_text() const;
    void check_header() const;

    std::filesystem::path path_;
    std::vector<char> text_;  // cells point into it
    std::vector<std::string> header_;
    std::vector<std::string_view> cells_;
    std::vector<std::size_t> line_of_row_;
};

}  // namespace silosum

#include "data/csv_table.hpp"

#include <algorithm>
#include <set>

#include "base/error.hpp"
#include "base/text.hpp"
#include "io/plain_or_gzip.hpp"

namespace silosum {

namespace {

// Cuts the text into records. Quoted fields are unescaped in place: the result is never longer than its source.
class CsvReader {
public:
    CsvReader(const std::filesystem::path& path, std::vector<char>& text, char separator)
        : path_(path), at_(text.data()), end_(text.data() + text.size()), separator_(separator) {
        constexpr std::string_view mark = "\xEF\xBB\xBF";
        if (std::string_view(at_, text.size()).starts_with(mark)) at_ += mark.size();
    }

    /// Adds the fields of the next record that is not empty; false at the end.
    bool read_record(std::vector<std::string_view>& fields, std::size_t& line) {
        while (at_ != end_) {
            line = line_;
            const std::size_t before = fields.size();
            do {
                fields.push_back(read_field());
            } while (skip_separator());
            skip_line_end();
            const bool is_empty = fields.size() == before + 1 && fields.back().empty();
            if (!is_empty) return true;
            fields.pop_back();
        }
        return false;
    }

private:
    [[nodiscard]] bool at_line_end() const { return at_ == end_ || *at_ == '\n' || *at_ == '\r'; }
    [[nodiscard]] bool at_blank() const { return at_ != end_ && (*at_ == ' ' || *at_ == '\t') && *at_ != separator_; }

    bool skip_separator() {
        if (at_ == end_ || *at_ != separator_) return false;
        ++at_;
        return true;
    }

    void skip_line_end() {
        if (at_ == end_) return;
        if (*at_++ == '\r' && at_ != end_ && *at_ == '\n') ++at_;
        ++line_;
    }

    std::string_view read_field() {
        while (at_blank()) ++at_;
        if (at_ != end_ && *at_ == '"') return read_quoted();
        const char* begin = at_;
        while (!at_line_end() && *at_ != separator_) ++at_;
        std::string_view field(begin, static_cast<std::size_t>(at_ - begin));
        while (!field.empty() && (field.back() == ' ' || field.back() == '\t')) field.remove_suffix(1);
        return field;
    }

    std::string_view read_quoted() {
        const std::size_t opened = line_;
        const char* begin = ++at_;
        char* to = at_;
        while (true) {
            require<DataError>(at_ != end_, "{} line {}: the quote that opens here is never closed", path_.string(), opened);
            if (*at_ == '"') {
                ++at_;
                if (at_ == end_ || *at_ != '"') break;
            }
            if (*at_ == '\n' || (*at_ == '\r' && (at_ + 1 == end_ || at_[1] != '\n'))) ++line_;
            *to++ = *at_++;
        }
        while (at_blank()) ++at_;
        require<DataError>(at_line_end() || *at_ == separator_,
                           "{} line {}: text follows a closing quote; quotes inside a quoted field are doubled", path_.string(), line_);
        return {begin, static_cast<std::size_t>(to - begin)};
    }

    const std::filesystem::path& path_;
    char* at_;
    char* end_;
    char separator_;
    std::size_t line_ = 1;
};

}  // namespace

CsvTable::CsvTable(const std::filesystem::path& path, char separator, const std::vector<std::string>& header)
    : path_(path), text_(read_plain_or_gzip(path)), header_(header) {
    check_text();
    CsvReader reader(path_, text_, separator);
    std::size_t line = 0;
    if (header_.empty()) {
        std::vector<std::string_view> names;
        require<DataError>(reader.read_record(names, line), "{} is empty: expected a line that names the columns", path_.string());
        for (const auto name : names) header_.push_back(name.empty() ? fmt::format("unnamed-{}", header_.size() + 1) : std::string(name));
    }
    check_header();
    for (std::size_t before = 0; reader.read_record(cells_, line); before = cells_.size()) {
        const std::size_t fields = cells_.size() - before;
        require<DataError>(fields == header_.size(), "{} line {} has {} fields, {} has {}", path_.string(), line, fields,
                           header.empty() ? "the header" : "--columns", header_.size());
        line_of_row_.push_back(line);
    }
}

// Names of silos, classes and features travel as JSON and stand in HDF5 files, which are UTF-8.
void CsvTable::check_text() const {
    const std::size_t bad = first_not_utf8(std::string_view(text_.data(), text_.size()));
    if (bad == std::string_view::npos) return;
    const auto line = 1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(bad), '\n');
    throw DataError(
        fmt::format("{} line {} is not UTF-8 text; convert it, for example with: iconv -f latin1 -t utf-8", path_.string(), line));
}

void CsvTable::check_header() const {
    std::set<std::string> seen;
    for (const auto& name : header_) {
        require<DataError>(seen.insert(name).second, "{}: the column \"{}\" is there twice", path_.string(), name);
    }
}

}  // namespace silosum

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include <fmt/format.h>

namespace silosum {

namespace {

// Inserted, missing, replaced and swapped neighbouring letters count one each: the slips of fingers.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);  // the rows for a's first i - 2, i - 1 and i letters
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        before.swap(last);
        last.swap(row);
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
        }
    }
    return row[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view word, std::span<const std::string> candidates) {
    std::string best;
    std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
    for (const auto& candidate : candidates) {
        const std::size_t distance = edit_distance(word, candidate);
        if (distance < best_distance) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

std::string unknown_name(std::string_view what, std::string_view word, std::span<const std::string> known) {
    const std::string nearest = nearest_name(word, known);
    const std::string hint = nearest.empty() ? "" : fmt::format(" did you mean \"{}\"?", nearest);
    return fmt::format("unknown {} \"{}\";{} known: {}", what, word, hint, join(known, ", "));
}

std::string counted(std::size_t count, std::string_view what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string size_text(double bytes) {
    if (bytes >= 0x1p30) return fmt::format("{:.2f} GiB", bytes / 0x1p30);
    if (bytes >= 0x1p20) return fmt::format("{:.1f} MiB", bytes / 0x1p20);
    return fmt::format("{:.1f} KiB", bytes / 0x1p10);
}

std::string csv_field(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char letter : text) quoted += letter == '"' ? "\"\"" : std::string(1, letter);
    return quoted + "\"";
}

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    std::size_t begin = 0;
    while (true) {
        const std::size_t end = text.find(separator, begin);
        parts.emplace_back(text.substr(begin, end - begin));
        if (end == std::string_view::npos) return parts;
        begin = end + 1;
    }
}

std::size_t first_not_utf8(std::string_view text) {
    // How many bytes follow a first byte, and the range of the second: it rules out surrogates and longer forms than needed.
    struct Form {
        unsigned char first_low, first_high;
        std::size_t length;
        unsigned char second_low, second_high;
    };
    static constexpr std::array forms{Form{0x00, 0x7F, 1, 0, 0},       Form{0xC2, 0xDF, 2, 0x80, 0xBF}, Form{0xE0, 0xE0, 3, 0xA0, 0xBF},
                                      Form{0xE1, 0xEC, 3, 0x80, 0xBF}, Form{0xED, 0xED, 3, 0x80, 0x9F}, Form{0xEE, 0xEF, 3, 0x80, 0xBF},
                                      Form{0xF0, 0xF0, 4, 0x90, 0xBF}, Form{0xF1, 0xF3, 4, 0x80, 0xBF}, Form{0xF4, 0xF4, 4, 0x80, 0x8F}};
    const auto is_within = [](char c, unsigned char low, unsigned char high) {
        const auto byte = static_cast<unsigned char>(c);
        return byte >= low && byte <= high;
    };
    for (std::size_t at = 0; at < text.size();) {
        const auto form =
            std::find_if(forms.begin(), forms.end(), [&](const Form& f) { return is_within(text[at], f.first_low, f.first_high); });
        if (form == forms.end() || text.size() - at < form->length) return at;
        for (std::size_t i = 1; i < form->length; ++i) {
            const bool is_second = i == 1;
            if (!is_within(text[at + i], is_second ? form->second_low : 0x80, is_second ? form->second_high : 0xBF)) return at;
        }
        at += form->length;
    }
    return std::string_view::npos;
}

std::string trim(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return "";
    return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

std::string join(std::span<const std::string> words, std::string_view separator) {
    return fmt::format("{}", fmt::join(words.begin(), words.end(), separator));
}

}  // namespace silosum

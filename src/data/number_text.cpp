#include "data/number_text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace silosum {

std::optional<double> number_from(std::string_view text) {
    if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
    double value = 0.0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || std::isnan(value)) return std::nullopt;
    return value;
}

void sort_as_numbers_or_words(std::vector<std::string>& texts) {
    std::sort(texts.begin(), texts.end());
    const bool all_numbers = std::all_of(texts.begin(), texts.end(), [](const std::string& text) { return number_from(text).has_value(); });
    if (!all_numbers) return;
    std::stable_sort(texts.begin(), texts.end(),
                     [](const std::string& a, const std::string& b) { return *number_from(a) < *number_from(b); });
}

}  // namespace silosum

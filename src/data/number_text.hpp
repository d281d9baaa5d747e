// Numbers in text as people write them in tables.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace silosum {

/// The number that the whole text is ("12", "+1.5", "-3e4", "inf"), or nothing; NaN is no number. The decimal sign is a point in every
/// locale.
[[nodiscard]] std::optional<double> number_from(std::string_view text);

/// Sorts by value when all are numbers, else as words.
void sort_as_numbers_or_words(std::vector<std::string>& texts);

}  // namespace silosum

#include "data/categories.hpp"

#include <algorithm>

#include "data/number_text.hpp"

namespace silosum {

Categories::Categories(const Words& words) {
    std::vector<std::string> ordered(words.begin(), words.end());
    sort_as_numbers_or_words(ordered);
    const bool all_numbers = std::all_of(words.begin(), words.end(), [](const auto& word) { return number_from(word).has_value(); });
    for (const auto& word : ordered) {
        const bool is_same = all_numbers && !names_.empty() && *number_from(names_.back()) == *number_from(word);
        if (!is_same) names_.push_back(word);
        if (word.size() < names_.back().size()) names_.back() = word;
        index_.emplace(word, names_.size() - 1);
    }
}

}  // namespace silosum

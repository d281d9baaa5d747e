// The different values of a column of names, in order.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace silosum {

/// Values in order: as numbers where all are numbers, else as words. Numbers that are written in different ways, "1" and "1.0" in another
/// file, are one category under the shorter spelling.
class Categories {
public:
    using Words = std::set<std::string, std::less<>>;

    explicit Categories(const Words& words);

    [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
    /// Place of one of the words among the names.
    [[nodiscard]] std::size_t index_of(std::string_view word) const { return index_.find(word)->second; }

private:
    std::vector<std::string> names_;
    std::map<std::string, std::size_t, std::less<>> index_;
};

}  // namespace silosum

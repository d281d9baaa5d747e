#include "privacy/count_leak.hpp"

#include <algorithm>

namespace silosum {

namespace {

constexpr std::uint64_t prime = (std::uint64_t{1} << 61) - 1;

__extension__ using Wide = unsigned __int128;

std::uint64_t times(std::uint64_t a, std::uint64_t b) {
    return static_cast<std::uint64_t>(static_cast<Wide>(a) * b % prime);
}
std::uint64_t minus(std::uint64_t a, std::uint64_t b) {
    return a >= b ? a - b : a + prime - b;
}
// Fermat: a^(p - 2).
std::uint64_t inverse(std::uint64_t a) {
    std::uint64_t result = 1;
    for (std::uint64_t exponent = prime - 2; exponent != 0; exponent >>= 1, a = times(a, a)) {
        if ((exponent & 1) != 0) result = times(result, a);
    }
    return result;
}

std::size_t first_of(const std::vector<std::uint64_t>& row) {
    return static_cast<std::size_t>(std::find_if(row.begin(), row.end(), [](auto value) { return value != 0; }) - row.begin());
}

// row -= factor * other
void subtract(std::vector<std::uint64_t>& row, std::uint64_t factor, const std::vector<std::uint64_t>& other) {
    if (factor == 0) return;
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = minus(row[i], times(factor, other[i]));
}

}  // namespace

void SummedSets::add_to(std::vector<Row>& rows, const std::vector<bool>& set) {
    Row row(set.begin(), set.end());
    for (const Row& other : rows) subtract(row, row[first_of(other)], other);
    const std::size_t first = first_of(row);
    if (first == row.size()) return;  // nothing new
    const std::uint64_t scale = inverse(row[first]);
    for (auto& value : row) value = times(value, scale);
    for (Row& other : rows) subtract(other, other[first], row);
    rows.push_back(std::move(row));
}

std::optional<std::uint32_t> SummedSets::exposed_by(const std::vector<bool>& set) const {
    // A unit vector in the row space is a row of the reduced form itself.
    const auto is_unit = [](const Row& row) { return std::count_if(row.begin(), row.end(), [](auto value) { return value != 0; }) == 1; };
    std::vector<bool> is_known(set.size(), false);
    for (const Row& row : rows_) {
        if (is_unit(row)) is_known[first_of(row)] = true;
    }
    std::vector<Row> rows = rows_;
    add_to(rows, set);
    for (const Row& row : rows) {
        if (is_unit(row) && !is_known[first_of(row)]) return static_cast<std::uint32_t>(first_of(row));
    }
    return std::nullopt;
}

void SummedSets::add(const std::vector<bool>& set) {
    add_to(rows_, set);
}

}  // namespace silosum

// Sums of sample counts over different sets of silos: differences and other combinations of them may show one silo's count.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace silosum {

/// The sets of silos whose counts were summed, as rows of a participation matrix.
class SummedSets {
public:
    /// A silo whose count would follow from the sums over all sets so far and this one: whose unit vector would lie in the row space of the
    /// matrix over the rational numbers (worked out modulo 2^61 - 1), and did not before. Nothing where no silo's would. All sets have the
    /// same length.
    [[nodiscard]] std::optional<std::uint32_t> exposed_by(const std::vector<bool>& set) const;
    void add(const std::vector<bool>& set);

private:
    using Row = std::vector<std::uint64_t>;
    // Reduced row echelon form: every row begins with 1, at a column that is 0 in all other rows.
    static void add_to(std::vector<Row>& rows, const std::vector<bool>& set);

    std::vector<Row> rows_;
};

}  // namespace silosum

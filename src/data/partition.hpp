// Ways to deal the rows of one data set out to silos. Each gives every row to exactly one silo, the same for the same seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace silosum {

/// Row numbers of each silo, ascending.
using Parts = std::vector<std::vector<std::uint32_t>>;

/// Equal sizes (but for one row), at random.
[[nodiscard]] Parts split_iid(std::size_t rows, std::size_t silos, std::uint64_t seed);

/// McMahan et al. 2017, section 3: rows sorted by label are cut into silos * pieces equal pieces, each silo gets `pieces` of them at
/// random; so a silo sees few labels: at most `pieces`, and one more for each piece that lies across a border between labels.
[[nodiscard]] Parts split_by_labels(std::span<const std::int32_t> labels, std::size_t pieces, std::size_t silos, std::uint64_t seed);

/// Label skew: each class is shared out by proportions drawn from Dirichlet(alpha) over the silos; a silo that has its equal share of all
/// rows takes no further class (Li et al. 2022, NIID-Bench, as its published results are measured). Redrawn until every silo has min_rows
/// rows; UsageError when that fails.
[[nodiscard]] Parts split_dirichlet(std::span<const std::int32_t> labels, std::size_t classes, double alpha, std::size_t silos,
                                    std::size_t min_rows, std::uint64_t seed);

/// Quantity skew: sizes drawn from Dirichlet(alpha), rows at random. Redrawn until every silo has min_rows rows.
[[nodiscard]] Parts split_by_quantity(std::size_t rows, double alpha, std::size_t silos, std::size_t min_rows, std::uint64_t seed);

/// One silo for each different name, ordered by name (as numbers where all are numbers). Returns the names in `names`.
[[nodiscard]] Parts split_by_name(std::span<const std::string> name_of_row, std::vector<std::string>& names);

/// Marks `count` of the rows, spread evenly over the labels and at random within each (pass no labels for no such spreading).
/// The silo's number and `round` key the draw.
[[nodiscard]] std::vector<bool> choose_stratified(std::span<const std::int32_t> labels, std::size_t rows, std::size_t count,
                                                  std::uint64_t seed, std::uint32_t silo, std::uint32_t round);

}  // namespace silosum

// A data set as imported, before it is cut into silos.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/shard.hpp"
#include "model/task.hpp"

namespace silosum {

enum class SplitName : std::uint8_t { train, validation, test };

/// A column of a table and the features made from it.
struct SourceColumn {
    std::string name;
    std::size_t first_feature = 0;
    std::vector<std::string> categories;  // empty for a numeric column
    bool drops_first = false;             // the first category has no feature of its own

    [[nodiscard]] bool is_categorical() const { return !categories.empty(); }
    [[nodiscard]] std::size_t features() const { return is_categorical() ? categories.size() - (drops_first ? 1 : 0) : 1; }
};

struct Source {
    std::string name;  // for the attribute `source`
    Problem problem;
    float pixel_scale = 1.0F;
    float pixel_offset = 0.0F;
    std::vector<std::string> class_names;
    std::vector<std::string> feature_names;
    Split rows;                            // missing values are NaN, in all features of their column
    Split common_test;                     // the source's own test set, or no rows
    std::vector<SourceColumn> columns;     // tables only
    std::vector<std::string> silo_of_row;  // empty unless a column or the files name the silo
    std::vector<SplitName> split_of_row;   // empty unless a column names the split
};

}  // namespace silosum

// The table of silos by labels that `shard` prints.
#pragma once

#include <string>
#include <vector>

#include "data/shard.hpp"

namespace silosum {

/// One line a silo: name, rows by split, and rows by label (or, for regression, mean and range of the target); a last line for all.
class ShardTable {
public:
    void add(const Shard& shard);
    [[nodiscard]] std::string text() const;

private:
    struct Line {
        std::string silo;
        std::size_t train = 0, validation = 0, test = 0;
        std::vector<std::size_t> labels;
        double target_sum = 0.0;
        float target_low = 0.0F, target_high = 0.0F;

        [[nodiscard]] std::size_t rows() const { return train + validation + test; }
        void add(const Line& other);
    };
    [[nodiscard]] std::vector<std::string> cells(const Line& line) const;

    bool is_regression_ = false;
    std::vector<std::string> class_names_;
    std::vector<Line> lines_;
};

/// Names of the classes: the shard's own, or their numbers.
[[nodiscard]] std::vector<std::string> class_names_of(const Shard& shard);

/// Rows of the split with each label.
[[nodiscard]] std::vector<std::size_t> label_counts(const Split& split, std::size_t classes);

}  // namespace silosum

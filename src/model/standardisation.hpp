// What a model expects of its features: which mean and deviation each was brought to 0 and 1 with.
#pragma once

#include <string>
#include <vector>

namespace silosum {

/// The words of data.standardise. none; federated: one mean and deviation a feature, for all silos; silo: each silo's own, of its train
/// rows, which belong to the silo and are stored nowhere.
struct Standardisation {
    std::string kind = "none";
    /// federated: one a feature, after the pixel scale, in the order of memory (channels last); else empty. A feature whose deviation is 0
    /// says nothing and becomes 0 everywhere.
    std::vector<double> mean, deviation;

    friend bool operator==(const Standardisation&, const Standardisation&) = default;
};

}  // namespace silosum

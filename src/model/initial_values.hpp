// How a model's parameters start.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/layer.hpp"

namespace silosum {

/// fan_in: weights and biases uniform in +-1/sqrt(fan_in), PyTorch's default. glorot: weights uniform in +-sqrt(6/(fan_in + fan_out))
/// (Glorot and Bengio 2010, equation 16), he: weights normal with variance 2/fan_in (He et al. 2015, equation 10), both with biases 0.
/// zero: all 0. Normalisation layers always start as weight 1, bias 0.
enum class InitialValues { fan_in, glorot, he, zero };

[[nodiscard]] const std::vector<std::string>& initial_values_names();
/// Throws UsageError for an unknown name.
[[nodiscard]] InitialValues initial_values_from_name(const std::string& name);

/// Value i of the flat vector depends on the seed, i and its tensor alone.
void draw_initial_values(std::span<const std::unique_ptr<Layer>> layers, std::uint64_t seed, InitialValues scheme, std::span<float> flat);

}  // namespace silosum

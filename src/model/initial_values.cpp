#include "model/initial_values.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "base/text.hpp"

namespace silosum {

namespace {

void fill_uniform(const Random& random, std::size_t first, double bound, std::span<float> values) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(bound * (2 * random.uniform(first + i) - 1));
}

void fill_normal(const Random& random, std::size_t first, double deviation, std::span<float> values) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(deviation * random.normal(first + i));
}

void draw(const Random& random, const LayerTensor& tensor, InitialValues scheme, std::size_t first, std::span<float> values) {
    const auto fan_in = static_cast<double>(tensor.fan_in);
    const auto fan_out = static_cast<double>(tensor.fan_out);
    std::fill(values.begin(), values.end(), tensor.role == TensorRole::norm_weight ? 1.0F : 0.0F);
    const bool is_weight = tensor.role == TensorRole::weight;
    if (!is_weight && tensor.role != TensorRole::bias) return;
    if (scheme == InitialValues::fan_in) fill_uniform(random, first, 1 / std::sqrt(fan_in), values);
    if (scheme == InitialValues::glorot && is_weight) fill_uniform(random, first, std::sqrt(6 / (fan_in + fan_out)), values);
    if (scheme == InitialValues::he && is_weight) fill_normal(random, first, std::sqrt(2 / fan_in), values);
}

}  // namespace

const std::vector<std::string>& initial_values_names() {
    static const std::vector<std::string> names{"fan_in", "glorot", "he", "zero"};
    return names;
}

InitialValues initial_values_from_name(const std::string& name) {
    const auto& names = initial_values_names();
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) throw UsageError(unknown_name("initial values", name, names));
    return static_cast<InitialValues>(found - names.begin());
}

void draw_initial_values(std::span<const std::unique_ptr<Layer>> layers, std::uint64_t seed, InitialValues scheme, std::span<float> flat) {
    const Random random(seed, Purpose::initial_model);
    std::size_t first = 0;
    for (const auto& layer : layers) {
        for (const auto& tensor : layer->tensors()) {
            std::size_t size = 1;
            for (const std::size_t extent : tensor.shape) size *= extent;
            draw(random, tensor, scheme, first, flat.subspan(first, size));
            first += size;
        }
    }
}

}  // namespace silosum

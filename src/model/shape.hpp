// The shape of what flows between layers: an image, or a vector that may be a flattened image.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace silosum {

/// Activations are channels-last: a sample of an image is (height, width, channels). A flattened image keeps that order in memory, while
/// PyTorch flattens (channels, height, width); layers with one weight per feature use `flat_order` to keep PyTorch's order in the model.
struct Shape {
    std::size_t height = 1;
    std::size_t width = 1;
    std::size_t channels = 0;
    bool is_image = false;

    [[nodiscard]] std::size_t size() const { return height * width * channels; }
    [[nodiscard]] std::size_t pixels() const { return height * width; }
    [[nodiscard]] bool is_reordered() const { return pixels() > 1 && channels > 1; }
    /// "28x28 image of 1 channel" or "784 values"
    [[nodiscard]] std::string text() const;
    /// Entry k: where the k-th value in memory stands in PyTorch's (channels, height, width) order. Empty where both are the same.
    [[nodiscard]] std::vector<std::uint32_t> flat_order() const;
    friend bool operator==(const Shape&, const Shape&) = default;
};

[[nodiscard]] inline Shape vector_of(std::size_t size) {
    return {.channels = size};
}
/// Shape of one sample from its shape in a shard: {n}, {height, width} or {channels, height, width}. Throws DataError for any other rank.
[[nodiscard]] Shape shape_of_features(std::span<const std::size_t> feature_shape);

}  // namespace silosum

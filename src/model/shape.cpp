#include "model/shape.hpp"

#include <fmt/ranges.h>

#include "base/error.hpp"

namespace silosum {

std::string Shape::text() const {
    if (!is_image) return fmt::format("{} value{}", size(), size() == 1 ? "" : "s");
    return fmt::format("{}x{} image of {} channel{}", height, width, channels, channels == 1 ? "" : "s");
}

std::vector<std::uint32_t> Shape::flat_order() const {
    std::vector<std::uint32_t> order;
    if (!is_reordered()) return order;
    order.reserve(size());
    for (std::size_t pixel = 0; pixel < pixels(); ++pixel) {
        for (std::size_t channel = 0; channel < channels; ++channel)
            order.push_back(static_cast<std::uint32_t>(channel * pixels() + pixel));
    }
    return order;
}

Shape shape_of_features(std::span<const std::size_t> shape) {
    switch (shape.size()) {
        case 1:
            return vector_of(shape[0]);
        case 2:
            return {.height = shape[0], .width = shape[1], .channels = 1, .is_image = true};
        case 3:
            return {.height = shape[1], .width = shape[2], .channels = shape[0], .is_image = true};
        default:
            break;
    }
    throw DataError(fmt::format("features of shape ({}): a model takes (values), (height, width) or (channels, height, width)",
                                fmt::join(shape, ", ")));
}

}  // namespace silosum

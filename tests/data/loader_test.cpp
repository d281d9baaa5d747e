#include "data/loader.hpp"

#include <gtest/gtest.h>

namespace silosum {
namespace {

TEST(Loader, GathersRowsOfBothKindsThroughTheMap) {
    constexpr std::size_t features = 5;
    Split floats{.rows = 4, .features = features, .bytes = {}, .floats = {}, .labels = {}, .targets = {}};
    Split bytes = floats;
    for (std::size_t i = 0; i < 4 * features; ++i) {
        floats.floats.push_back(static_cast<float>(i));
        bytes.bytes.push_back(static_cast<std::uint8_t>(i));
    }
    const Affine per_feature{.per_feature = true, .scale = {1, 2, 3, 4, 5}, .offset = {0, 1, 0, -1, 0}};
    const Affine single{.per_feature = false, .scale = {0.5F}, .offset = {8}};
    const std::vector<std::uint32_t> rows{3, 0, 3};
    for (const Affine* affine : {&per_feature, &single}) {
        for (const Split* split : {&floats, &bytes}) {
            std::vector<float> batch(rows.size() * features);
            gather(*split, *affine, rows, batch.data());
            for (std::size_t r = 0; r < rows.size(); ++r) {
                for (std::size_t f = 0; f < features; ++f) {
                    const std::size_t at = affine->per_feature ? f : 0;
                    const float value = static_cast<float>(rows[r] * features + f);
                    EXPECT_EQ(batch[r * features + f], value * affine->scale[at] + affine->offset[at]);
                }
            }
        }
    }
}

}  // namespace
}  // namespace silosum

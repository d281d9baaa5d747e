// The flat vector: offsets, text and hash.
#include "model/parameters.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "model/shape.hpp"
#include "model/task.hpp"

namespace silosum {
namespace {

Layout two_tensors() {
    Layout layout;
    layout.add("0.weight", {2, 3});
    layout.add("0.bias", {2});
    return layout;
}

TEST(Layout, TensorsLieOneAfterTheOther) {
    const Layout layout = two_tensors();
    EXPECT_EQ(layout.tensors[1].offset, 6U);
    EXPECT_EQ(layout.size(), 8U);
    EXPECT_EQ(layout.text(), "0.weight 2x3\n0.bias 2\n");
    EXPECT_EQ(layout, two_tensors());
    Layout other = two_tensors();
    other.tensors[0].shape = {3, 2};
    EXPECT_FALSE(layout == other);
    EXPECT_EQ(Layout{}.size(), 0U);
}

TEST(Parameters, HashIsThatOfLittleEndianFloats) {
    Parameters parameters(two_tensors());
    for (std::size_t i = 0; i < 8; ++i) parameters.values[i] = static_cast<float>(i) / 2;
    // python3 -c "import hashlib, struct; print(hashlib.sha256(struct.pack('<8f', *[i / 2 for i in range(8)])).hexdigest())"
    EXPECT_EQ(parameters.sha256(), "c550add093344b2e34da9d0628e6598698b8ed797de8781c51d1240d84afa5f2");
    EXPECT_EQ(sha256_of(parameters.values.span()), parameters.sha256());
    parameters.values[7] = -parameters.values[7];
    EXPECT_NE(parameters.sha256(), "c550add093344b2e34da9d0628e6598698b8ed797de8781c51d1240d84afa5f2");
}

TEST(Shape, FlatOrderLeadsFromChannelsLastToChannelsFirst) {
    const std::vector<std::size_t> features{2, 1, 3};  // channels, height, width
    const Shape shape = shape_of_features(features);
    EXPECT_EQ(shape.text(), "1x3 image of 2 channels");
    EXPECT_EQ(shape.flat_order(), (std::vector<std::uint32_t>{0, 3, 1, 4, 2, 5}));
    EXPECT_TRUE(vector_of(6).flat_order().empty());
    EXPECT_TRUE(shape_of_features(std::vector<std::size_t>{4, 5}).flat_order().empty());
}

TEST(Task, NamesReadBack) {
    for (const auto task : {Task::classification, Task::binary, Task::regression}) EXPECT_EQ(task_from_name(to_string(task)), task);
    EXPECT_THAT([] { (void)task_from_name("regresion"); },
                testing::ThrowsMessage<DataError>(testing::HasSubstr("did you mean \"regression\"")));
    const Problem problem{.task = Task::classification, .classes = 10, .feature_shape = {3, 32, 32}};
    EXPECT_EQ(problem.features(), 3072U);
    EXPECT_EQ(problem.outputs(), 10U);
    EXPECT_EQ((Problem{.task = Task::binary, .classes = 2, .feature_shape = {4}}.outputs()), 1U);
}

}  // namespace
}  // namespace silosum

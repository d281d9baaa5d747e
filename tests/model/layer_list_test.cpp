// Texts of layers: what parses, what is refused with which words, and shapes that do not fit.
#include "model/layer_list.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "model/model_list.hpp"
#include "support/model_case.hpp"

namespace silosum {
namespace {

using test::classes_of;
using test::layers_from;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

auto refused(const std::string& part) {
    return ThrowsMessage<UsageError>(HasSubstr(part));
}

TEST(LayerList, EveryRowParsesItsOwnUsage) {
    const std::map<std::string, std::string> texts{
        {"dense", "dense 64"},    {"conv", "conv 32 5 stride=2 pad=1"}, {"maxpool", "maxpool 3 stride=2 pad=1"},
        {"avgpool", "avgpool 2"}, {"dropout", "dropout 0.5"},           {"groupnorm", "groupnorm 4"}};
    for (const auto& row : layer_list()) {
        const std::string text = texts.contains(row.name) ? texts.at(row.name) : row.name;
        EXPECT_EQ(to_string(parse_layer(text)), text);
        EXPECT_EQ(row.usage.substr(0, row.name.size()), row.name);
        EXPECT_FALSE(row.help.empty());
    }
}

TEST(LayerList, ArgumentsGoByPlaceOrByName) {
    const auto expected = parse_layer("conv 32 5 stride=2 pad=1");
    EXPECT_EQ(parse_layer("conv 32 5 2 1"), expected);
    EXPECT_EQ(parse_layer("  conv  kernel=5 pad=1   channels=32 stride=2 "), expected);
    EXPECT_EQ(parse_layer("conv 32 5").count("stride"), 1U);
    EXPECT_EQ(to_string(parse_layer("dense outputs")), "dense outputs");
}

TEST(LayerList, TheWholeListReadsBack) {
    for (const auto& name : model_names()) {
        const auto layers = model_layers(name, {.widths = {3}, .activation = "gelu", .dropout = 0.1, .layers = {"dense outputs"}});
        EXPECT_EQ(layers_from(to_string(layers)), layers);
    }
}

TEST(LayerList, WrongTextsAreNamed) {
    EXPECT_THAT([] { (void)layers_from("conv 3 3, rleu, dense outputs"); },
                ThrowsMessage<UsageError>(AllOf(HasSubstr("layer 2, \"rleu\""), HasSubstr("did you mean \"relu\""))));
    EXPECT_THAT([] { (void)parse_layer("conv 32"); }, refused("kernel is missing; usage: conv CHANNELS KERNEL"));
    EXPECT_THAT([] { (void)parse_layer("dense many"); }, refused("units = \"many\": must be a whole number or \"outputs\""));
    EXPECT_THAT([] { (void)parse_layer("dense 0"); }, refused("units = 0: must be in [1, "));
    EXPECT_THAT([] { (void)parse_layer("dense 2.5"); }, refused("must be a whole number"));
    EXPECT_THAT([] { (void)parse_layer("dense -3"); }, refused("units = -3: must be in"));
    EXPECT_THAT([] { (void)parse_layer("dense nan"); }, refused("must be a whole number"));
    EXPECT_THAT([] { (void)parse_layer("dense 5 6"); }, refused("it takes no \"6\"; usage: dense"));
    EXPECT_THAT([] { (void)parse_layer("conv 5 3 padding=1"); }, refused("it takes no \"padding=1\""));
    EXPECT_THAT([] { (void)parse_layer("conv 5 3 kernel=3"); }, refused("kernel is given twice"));
    EXPECT_THAT([] { (void)parse_layer("dropout 1"); }, refused("rate = 1: must be in [0, 1)"));
    EXPECT_THAT([] { (void)parse_layer("maxpool 16"); }, refused("window = 16: must be in [1, 15]"));
    EXPECT_THAT([] { (void)parse_layer(""); }, refused("a layer is missing"));
}

TEST(LayerList, ShapesThatDoNotFitAreNamed) {
    const auto build = [](const std::string& text, const Problem& problem) {
        return [text, problem] { (void)build_layers(layers_from(text), problem); };
    };
    const Problem grey = classes_of({6, 7}, 3);
    EXPECT_THAT(build("conv 4 5, relu, conv 4 5, dense outputs", grey),
                refused("layer 3, \"conv 4 5\": a 5x5 window does not fit into a 2x3 image of 4 channels"));
    EXPECT_THAT(build("maxpool 2, conv 4 3, maxpool 2, dense outputs", classes_of({3, 6, 6}, 3)), refused("layer 3, \"maxpool 2\""));
    EXPECT_THAT(build("conv 4 3, dense outputs", classes_of({42}, 3)),
                refused("layer 1, \"conv 4 3\": it needs an image, its input is 42 values"));
    EXPECT_THAT(build("dense 9, maxpool 2", grey), refused("layer 2, \"maxpool 2\": it needs an image, its input is 9 values"));
    EXPECT_THAT(build("conv 4 3 pad=3, dense outputs", grey), refused("pad=3 must be less than the kernel of 3"));
    EXPECT_THAT(build("maxpool 3 pad=2, dense outputs", grey), refused("pad=2 is more than half of the window of 3"));
    EXPECT_THAT(build("conv 4 3, groupnorm 3, dense outputs", grey), refused("4 channels cannot be cut into 3 equal groups"));
    EXPECT_THAT(build("conv 4 3, flatten, groupnorm 2, dense outputs", grey), refused("it must stand before the image is flattened"));
    EXPECT_THAT(build("dense 4", grey),
                refused("the last layer, \"dense 4\", gives 4 values, but classification into 3 classes of 6x7 features needs 3 values"));
    EXPECT_THAT(build("conv 3 3", grey), refused("gives 4x5 image of 3 channels"));
    EXPECT_THAT(build("relu", classes_of({3}, 3)), refused("nothing to learn"));
    EXPECT_THAT(build("conv 2 2, flatten", classes_of({3, 3}, 8)), refused("the layers end with the pixels of an image"));
    EXPECT_THAT(build("conv 8 3, flatten", classes_of({3, 3}, 8)), testing::Not(testing::Throws<Error>()));
    EXPECT_THAT(build("dropout 0.99999999, dense outputs", grey), refused("is 1 in single precision"));
    EXPECT_THAT(
        [&] {
            (void)build_layers(layers_from("dense outputs"), classes_of({2, 3, 4, 5}, 3));
        },
        ThrowsMessage<DataError>(HasSubstr("features of shape (2, 3, 4, 5)")));
    EXPECT_THAT([&] { (void)build_layers(layers_from("dense outputs"), classes_of({}, 3)); }, testing::Throws<DataError>());
    EXPECT_THAT([&] { (void)build_layers(layers_from("dense outputs"), classes_of({0}, 3)); }, testing::Throws<DataError>());
}

TEST(LayerList, AFlattenIsImpliedBeforeADenseLayer) {
    const Problem problem = classes_of({3, 6, 6}, 3);
    const auto implied = build_layers(layers_from("conv 4 3, dense outputs"), problem);
    const auto written = build_layers(layers_from("conv 4 3, flatten, dense outputs"), problem);
    ASSERT_EQ(implied.size(), written.size());
    for (std::size_t i = 0; i < implied.size(); ++i) EXPECT_EQ(implied[i]->out(), written[i]->out());
    EXPECT_EQ(build_layers(layers_from("dense outputs"), classes_of({12}, 3)).size(), 1U);
}

}  // namespace
}  // namespace silosum

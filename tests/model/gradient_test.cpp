// Every layer, loss and named model against a reference in double precision: the loss, and its gradient by central differences.
#include <cmath>
#include <memory>

#include <gtest/gtest.h>

#include "model/model_list.hpp"
#include "model/sequential.hpp"
#include "support/model_case.hpp"
#include "support/reference_model.hpp"
#include "support/test_stream.hpp"

namespace silosum {
namespace {

using test::binary_of;
using test::classes_of;
using test::layers_from;
using test::ReferenceModel;
using test::regression_of;
using test::Samples;

struct GradientCase {
    std::string name;
    std::vector<LayerSpec> layers;
    Problem problem;
    std::vector<float> class_weights = {};
};

GradientCase text_case(const std::string& name, const std::string& layers, const Problem& problem) {
    return {name, layers_from(layers), problem};
}

GradientCase named_case(const std::string& name, const Problem& problem) {
    return {"named_" + name, model_layers(name, {.widths = {9, 5}, .activation = "gelu", .dropout = 0.3}), problem};
}

std::vector<GradientCase> all_cases() {
    const Problem vector = classes_of({11}, 4);
    const Problem grey = classes_of({9, 8}, 3);
    const Problem colour = classes_of({3, 8, 9}, 3);
    GradientCase weighted = text_case("class_weights", "dense 6, relu, dense outputs", vector);
    weighted.class_weights = {0.5F, 2, 1, 3};
    GradientCase weighted_binary = text_case("binary_class_weights", "dense outputs", binary_of({5}));
    weighted_binary.class_weights = {0.25F, 2};
    return {
        weighted,
        weighted_binary,
        text_case("softmax_loss", "dense outputs", vector),
        text_case("binary_loss", "dense 7, tanh, dense outputs", binary_of({6})),
        text_case("squared_loss", "dense 7, tanh, dense outputs", regression_of({6})),
        text_case("relu", "dense 17, relu, dense 33, relu, dense outputs", vector),
        text_case("relu_first", "relu, dense outputs", vector),
        text_case("relu_last", "dense 5, relu, dense outputs, relu", vector),
        text_case("relu_twice", "dense 5, relu, relu, dense outputs", vector),
        text_case("tanh", "dense 17, tanh, dense outputs", vector),
        text_case("sigmoid", "dense 17, sigmoid, dense outputs", vector),
        text_case("gelu", "dense 17, gelu, dense outputs", vector),
        text_case("activations_in_a_row", "tanh, dense 9, gelu, tanh, sigmoid, dense outputs", vector),
        text_case("dropout", "dropout 0.2, dense 17, relu, dropout 0.5, dense 9, tanh, dropout 0.25, dense outputs", vector),
        text_case("dropout_on_images", "conv 4 3, relu, dropout 0.4, conv 5 3, dropout 0.3, relu, dense outputs", colour),
        text_case("layernorm", "layernorm, dense 9, layernorm, relu, dense 5, relu, layernorm, dense outputs", vector),
        text_case("groupnorm_on_a_vector", "dense 12, groupnorm 3, relu, dense outputs", vector),
        text_case("conv", "conv 3 3, relu, dense outputs", grey),
        text_case("conv_with_padding", "conv 5 3 pad=1, tanh, conv 18 3 pad=2, relu, dense outputs", colour),
        text_case("conv_with_stride", "conv 5 3 stride=2, relu, conv 4 3 stride=2 pad=1, gelu, dense outputs", colour),
        text_case("conv_1x1", "conv 5 1, relu, conv 4 1, relu, dense outputs", colour),
        text_case("conv_only", "conv 4 5 pad=1, tanh, conv 3 6 stride=2, flatten", classes_of({1, 8, 8}, 3)),
        text_case("max_pool", "conv 4 3, relu, maxpool 2, conv 5 2, maxpool 2, relu, dense outputs", grey),
        text_case("max_pool_overlapping", "conv 4 3, relu, maxpool 3 stride=2 pad=1, conv 3 2, tanh, maxpool 2 stride=1, dense outputs",
                  grey),
        text_case("max_pool_first", "maxpool 2, conv 4 3, relu, dense outputs", colour),
        text_case("average_pool", "conv 4 3, relu, avgpool 2, conv 5 2, avgpool 2, relu, dense outputs", grey),
        text_case("average_pool_overlapping", "conv 4 3, gelu, avgpool 3 stride=2 pad=1, dense outputs", colour),
        text_case("layernorm_on_images", "layernorm, conv 4 3, layernorm, relu, conv 4 2, relu, layernorm, dense outputs", colour),
        text_case("groupnorm_on_images", "conv 6 3, groupnorm 3, relu, conv 4 2, relu, groupnorm 4, dense outputs", colour),
        text_case("behind_a_flatten", "flatten, layernorm, tanh, dropout 0.2, dense outputs", colour),
        text_case("dense_on_colour_image", "dense 6, relu, dense outputs", colour),
        named_case("softmax", grey),
        named_case("linear", regression_of({7})),
        named_case("mlp", vector),
        named_case("2nn", vector),
        named_case("cnn", classes_of({6, 7}, 3)),
        named_case("lenet", classes_of({3, 16, 17}, 10)),
    };
}

class Gradient : public testing::TestWithParam<GradientCase> {
protected:
    static constexpr std::size_t samples_count = 5;

    Gradient()
        : model_(GetParam().layers, GetParam().problem, "auto", test::stream(), samples_count),
          reference_(GetParam().layers, GetParam().problem),
          samples_(GetParam().problem, samples_count),
          dropout_(11, Purpose::dropout, 2, 7),
          flat_(test::some_parameters(model_)),
          gradient_(flat_.size(), std::nanf("")) {
        reference_.class_weights.assign(GetParam().class_weights.begin(), GetParam().class_weights.end());
        reference_.dropout = &dropout_;
        reference_.step = 4;
        model_.set_class_weights(GetParam().class_weights);
        model_.load(flat_);
        mean_loss_ = model_.gradient(samples_.batch, gradient_, dropout_, reference_.step);
        for (const float value : gradient_) sum_ += std::abs(static_cast<double>(value));
    }

    [[nodiscard]] std::vector<double> parameters() const { return {flat_.begin(), flat_.end()}; }
    /// Derivative of the reference's loss along a direction, by central differences. The step is so short that hardly a relu or a
    /// maximum changes sides; the rounding of the difference of two losses around 1 leaves an error near 1e-9 of the direction's norm.
    [[nodiscard]] double slope(std::span<const double> direction) const {
        double norm = 0;
        for (const double value : direction) norm += value * value;
        const double h = 3e-7 / std::sqrt(norm);
        auto ahead = parameters();
        auto behind = parameters();
        for (std::size_t i = 0; i < direction.size(); ++i) {
            ahead[i] += h * direction[i];
            behind[i] -= h * direction[i];
        }
        return (reference_.loss(ahead, samples_.batch) - reference_.loss(behind, samples_.batch)) / (2 * h);
    }

    Sequential model_;
    ReferenceModel reference_;
    Samples samples_;
    Random dropout_;
    std::vector<float> flat_;
    std::vector<float> gradient_;
    double mean_loss_ = 0;
    double sum_ = 0;  // of the gradient's magnitudes
};

// float32 forward and backward passes of a few layers: some tens of roundings of 6e-8 each.
constexpr double relative_error = 2e-5;

TEST_P(Gradient, LossAndOutputsEqualTheReference) {
    const auto flat = parameters();
    const double expected = reference_.loss(flat, samples_.batch);
    EXPECT_NEAR(mean_loss_, expected, relative_error * (1 + expected));

    // Without dropout, one call of many samples.
    reference_.dropout = nullptr;
    const auto sum = model_.loss(samples_.batch);
    EXPECT_NEAR(sum.loss / sum.weight, reference_.loss(flat, samples_.batch), relative_error * (1 + expected));
    std::vector<float> outputs(samples_count * model_.outputs());
    model_.predict(samples_count, samples_.x.data(), outputs.data());
    for (std::size_t i = 0; i < samples_count; ++i) {
        const auto expected_outputs = reference_.outputs(flat, samples_.x.data() + i * GetParam().problem.features(), i);
        ASSERT_EQ(expected_outputs.size(), model_.outputs());
        for (std::size_t o = 0; o < model_.outputs(); ++o)
            EXPECT_NEAR(outputs[i * model_.outputs() + o], expected_outputs[o], relative_error);
    }
}

TEST_P(Gradient, PartsEqualFiniteDifferences) {
    double largest = 0;
    for (const float value : gradient_) largest = std::max(largest, std::abs(static_cast<double>(value)));
    ASSERT_GT(largest, 1e-3);
    const Random choice(1, Purpose::selection);
    std::vector<double> direction(flat_.size(), 0);
    for (const auto& tensor : model_.layout().tensors) {
        for (std::uint64_t draw = 0; draw < 6; ++draw) {
            const std::size_t i = tensor.offset + choice.below(tensor.offset + draw, static_cast<std::uint32_t>(tensor.size()));
            direction[i] = 1;
            EXPECT_NEAR(gradient_[i], slope(direction), relative_error * largest) << tensor.name << " entry " << i - tensor.offset;
            direction[i] = 0;
        }
    }
}

// Random directions reach every parameter, the few that the test above draws and all others.
TEST_P(Gradient, RandomDirectionsEqualFiniteDifferences) {
    const Random signs(2, Purpose::selection);
    const double size = sum_ / std::sqrt(static_cast<double>(flat_.size()));
    for (std::uint64_t draw = 0; draw < 5; ++draw) {
        std::vector<double> direction(flat_.size());
        double expected = 0;
        for (std::size_t i = 0; i < flat_.size(); ++i) {
            direction[i] = (signs.word(draw * flat_.size() + i) & 1) == 0 ? 1 : -1;
            expected += direction[i] * static_cast<double>(gradient_[i]);
        }
        EXPECT_NEAR(slope(direction), expected, relative_error * size + 2e-9 * std::sqrt(static_cast<double>(flat_.size())));
    }
}

INSTANTIATE_TEST_SUITE_P(Layers, Gradient, testing::ValuesIn(all_cases()), [](const auto& one) { return one.param.name; });

// What the list of layers offers is what the cases above try.
TEST(GradientCases, CoverEveryLayerAndModel) {
    for (const auto& row : layer_list()) {
        bool is_tried = false;
        for (const auto& one : all_cases()) {
            for (const auto& layer : one.layers) is_tried = is_tried || layer.kind == row.name;
        }
        EXPECT_TRUE(is_tried) << row.name;
    }
    for (const auto& name : model_names()) {
        bool is_tried = name == "layers";
        for (const auto& one : all_cases()) is_tried = is_tried || one.name == "named_" + name;
        EXPECT_TRUE(is_tried) << name;
    }
}

}  // namespace
}  // namespace silosum

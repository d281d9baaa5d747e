// The section `model`: which keys belong to which model, and the layers that follow.
#include "model/model_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "model/model_list.hpp"
#include "support/model_case.hpp"

namespace silosum {
namespace {

using test::classes_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

struct Loaded {
    ModelConfig config;
    Options options;
    std::vector<std::string> problems;

    explicit Loaded(const std::vector<std::string>& flags) {
        config.add_to(options);
        problems = options.load("", flags);
    }
};

std::string layers_text(const std::vector<std::string>& flags, const Problem& problem) {
    const Loaded loaded(flags);
    EXPECT_THAT(loaded.problems, IsEmpty());
    return to_string(layers_for(loaded.config, problem));
}

TEST(ModelConfig, ModelsBecomeLayers) {
    const Problem problem = classes_of({28, 28}, 10);
    EXPECT_EQ(layers_text({}, problem), "dense outputs");
    EXPECT_EQ(layers_text({"--model.name", "2nn"}, problem), "dense 200, relu, dense 200, relu, dense outputs");
    EXPECT_EQ(
        layers_text({"--model.name", "mlp", "--model.widths", "30, 20", "--model.activation", "tanh", "--model.dropout", "0.25"}, problem),
        "dense 30, tanh, dropout 0.25, dense 20, tanh, dropout 0.25, dense outputs");
    const std::string own = "conv 8 3 pad=1, relu, maxpool 2, dense 50, gelu, dense outputs";
    EXPECT_EQ(layers_text({"--model.name", "layers", "--model.layers", own}, problem), own);
}

TEST(ModelConfig, ResolvedSectionReadsBack) {
    const Loaded loaded({"--model.name", "layers", "--model.layers", "conv 8 3 pad=1, relu, dense outputs", "--model.init", "he"});
    EXPECT_THAT(loaded.options.as_ini(), testing::AllOf(HasSubstr("layers = conv 8 3 pad=1, relu, dense outputs"), HasSubstr("init = he")));
    EXPECT_EQ(loaded.config.initial_values(), InitialValues::he);
}

TEST(ModelConfig, KeysOfOtherModelsAreRefused) {
    EXPECT_THAT(Loaded({"--model.widths", "30"}).problems, ElementsAre(HasSubstr("model.widths is not used with model.name = softmax")));
    EXPECT_THAT(Loaded({"--model.name", "cnn", "--model.layers", "dense outputs"}).problems,
                ElementsAre(HasSubstr("model.layers is not used")));
    EXPECT_THAT(Loaded({"--model.name", "cnm"}).problems, ElementsAre(HasSubstr("did you mean \"cnn\"")));
}

TEST(ModelConfig, WrongValuesAreNamed) {
    EXPECT_THAT(Loaded({"--model.name", "layers"}).problems, ElementsAre(HasSubstr("must list at least one layer")));
    EXPECT_THAT(Loaded({"--model.name", "layers", "--model.layers", "dense 10, rleu"}).problems,
                ElementsAre(HasSubstr("layer 2, \"rleu\": unknown layer")));
    EXPECT_THAT(Loaded({"--model.name", "mlp", "--model.widths", "30, many"}).problems,
                ElementsAre(HasSubstr("\"many\" must be a whole number")));
}

TEST(ModelConfig, ModelsThatDoNotFitTheDataAreRefused) {
    const Loaded cnn({"--model.name", "cnn"});
    EXPECT_THAT(
        [&] { (void)layers_for(cnn.config, classes_of({13}, 2)); },
        ThrowsMessage<UsageError>(HasSubstr("model.name = cnn: layer 1, \"conv 32 5 pad=2\": it needs an image, its input is 13 values")));
    const Loaded mse({"--model.loss", "mse"});
    EXPECT_THAT([&] { (void)layers_for(mse.config, classes_of({13}, 2)); }, ThrowsMessage<UsageError>(HasSubstr("loss mse does not fit")));
}

TEST(ModelList, EveryRowHasAName) {
    for (const auto& row : model_list()) EXPECT_FALSE(row.name.empty() || row.help.empty());
}

}  // namespace
}  // namespace silosum

// A saved model is the model; a cut, changed or foreign file is refused with its reason; parameters start from either format.
#include "model/model_file.hpp"

#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "io/hdf5.hpp"
#include "io/safetensors.hpp"
#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

Layout small_layout() {
    Layout layout;
    layout.add("0.weight", {2, 3, 1, 1});
    layout.add("0.bias", {2});
    layout.add("3.weight", {4, 24});
    layout.add("3.bias", {4});
    return layout;
}

Parameters counted_parameters(const Layout& layout) {
    Parameters parameters(layout);
    for (std::size_t i = 0; i < parameters.values.size(); ++i) parameters.values[i] = std::ldexp(static_cast<float>(i) - 40.0F, -3);
    return parameters;
}

ModelDescription description() {
    ModelDescription made;
    made.problem = {.task = Task::classification, .classes = 4, .feature_shape = {3, 3, 4}};
    made.layers = "conv 2 1, relu, flatten, dense outputs";
    made.loss = "softmax_cross_entropy";
    made.round = 12;
    made.standardisation.kind = "federated";
    for (int f = 0; f < 36; ++f) {
        made.standardisation.mean.push_back(0.1 * f);
        made.standardisation.deviation.push_back(1 + 0.01 * f);
    }
    made.class_names = {"a", "b, c", "\xC3\xA9", "d"};
    for (int f = 0; f < 36; ++f) made.feature_names.push_back(fmt::format("f{}", f));
    made.class_weights = {1, 0.5F, 2, 1};
    return made;
}

class ModelFile : public testing::Test {
protected:
    void expect_refused(const std::string& reason) const {
        EXPECT_THAT([&] { (void)load_model(path_); }, ThrowsMessage<DataError>(AllOf(HasSubstr(path_.string()), HasSubstr(reason))));
    }
    [[nodiscard]] std::string read_bytes() const { return read_text(path_); }
    void write_bytes(const std::string& bytes) const { write_text(path_, bytes); }

    TemporaryFolder folder_;
    std::filesystem::path path_ = folder_ / "model.h5";
};

void expect_same_values(const Parameters& a, const Parameters& b) {
    EXPECT_EQ(a.layout, b.layout);
    ASSERT_EQ(a.values.size(), b.values.size());
    EXPECT_EQ(std::memcmp(a.values.data(), b.values.data(), a.values.size() * sizeof(float)), 0);
}

TEST_F(ModelFile, SavedModelsLoadBackWhole) {
    const Parameters parameters = counted_parameters(small_layout());
    save_model(path_, description(), parameters);
    const Model model = load_model(path_);
    EXPECT_EQ(model.description, description());
    EXPECT_EQ(model.sha256, parameters.sha256());
    expect_same_values(model.parameters, parameters);
}

TEST_F(ModelFile, EveryKindOfStandardisationAndTaskLoadsBack) {
    for (const std::string kind : {"none", "silo"}) {
        ModelDescription made;
        made.problem = {.task = Task::regression, .classes = 0, .feature_shape = {7}};
        made.layers = "dense outputs";
        made.loss = "squared_error";
        made.standardisation.kind = kind;
        save_model(path_, made, counted_parameters(small_layout()));
        EXPECT_EQ(load_model(path_).description, made);
    }
}

TEST_F(ModelFile, LayersComeBackFromTheirText) {
    const std::vector<std::string> texts = {"conv 32 5 pad=2", "gelu",        "maxpool 3 stride=2",
                                            "dropout 0.125",   "groupnorm 4", "dense outputs"};
    const auto layers = parse_layers(texts);
    EXPECT_EQ(layers_text(layers), "conv 32 5 pad=2, gelu, maxpool 3 stride=2, dropout 0.125, groupnorm 4, dense outputs");
    EXPECT_EQ(layers_from_text(layers_text(layers)), layers);
}

TEST_F(ModelFile, FeaturesAreStoredInTheOrderOfTheShard) {
    save_model(path_, description(), counted_parameters(small_layout()));
    const hdf5::Dataset mean = hdf5::open_file(path_).group("standardisation").dataset("mean");
    EXPECT_EQ(mean.shape(), (hdf5::Shape{3, 3, 4}));
    std::vector<double> values(36);
    mean.read(std::span(values));
    // In memory (height, width, channels): pixel 5 of channel 2 is feature 5 * 3 + 2; in the file (channels, height, width) it is 2 * 12
    // + 5.
    EXPECT_DOUBLE_EQ(values[2 * 12 + 5], description().standardisation.mean[5 * 3 + 2]);
}

TEST_F(ModelFile, AFileCutAnywhereIsRefused) {
    save_model(path_, description(), counted_parameters(small_layout()));
    const std::string whole = read_bytes();
    for (std::size_t length = 0; length < whole.size(); length += 97) {
        write_bytes(whole.substr(0, length));
        EXPECT_THROW((void)load_model(path_), DataError) << length;
    }
}

TEST_F(ModelFile, AnyChangedByteIsRefused) {
    save_model(path_, description(), counted_parameters(small_layout()));
    const std::string whole = read_bytes();
    for (std::size_t i = 0; i < whole.size(); i += i + 200 < whole.size() ? 37 : 1) {
        std::string changed = whole;
        changed[i] = static_cast<char>(changed[i] ^ 0x5A);
        write_bytes(changed);
        // The last line is 104 bytes long; what stands before it must not even reach HDF5.
        expect_refused(i + 104 < whole.size() ? "do not match the checksum" : "");
    }
    write_bytes(whole + "\n");
    expect_refused("cut or changed");
}

TEST_F(ModelFile, OtherFilesAreRefused) {
    expect_refused("");  // missing
    write_bytes("not HDF5");
    expect_refused("");
    { hdf5::create_file(path_).close(); }
    expect_refused("no attribute \"format\"");
    {
        hdf5::File file = hdf5::create_file(path_);
        file.set_attribute("format", "silosum-shard");
        file.close();
    }
    expect_refused("its format is \"silosum-shard\", \"silosum-model\" expected");
    {
        hdf5::File file = hdf5::create_file(path_);
        file.set_attribute("format", "silosum-model");
        file.set_attribute("version", std::int64_t{2});
        file.close();
    }
    expect_refused("version 2 is newer than 1");
}

TEST_F(ModelFile, AFailedSaveLeavesNothingBehind) {
    EXPECT_THROW(save_model(folder_ / "missing/model.h5", description(), counted_parameters(small_layout())), Error);
    save_model(path_, description(), counted_parameters(small_layout()));
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
}

TEST_F(ModelFile, SafetensorsHoldTheSameModel) {
    const Parameters parameters = counted_parameters(small_layout());
    const auto exported = folder_ / "model.safetensors";
    export_safetensors(exported, description(), parameters);
    const safetensors::File file = safetensors::read(exported);
    EXPECT_EQ(file.metadata.at("layers"), description().layers);
    EXPECT_EQ(file.metadata.at("model_sha256"), parameters.sha256());
    EXPECT_EQ(file.metadata.at("feature_shape"), "[3,3,4]");
    expect_same_values(load_parameters(exported, small_layout(), description()), parameters);
}

TEST_F(ModelFile, ParametersStartFromTensorsInAnyOrder) {
    const Parameters parameters = counted_parameters(small_layout());
    std::vector<safetensors::View> views;
    for (const Tensor& tensor : parameters.layout.tensors) {
        views.insert(views.begin(), {tensor.name, tensor.shape, parameters.values.span().subspan(tensor.offset, tensor.size())});
    }
    const auto file = folder_ / "pytorch.safetensors";
    safetensors::write(file, views, {});
    expect_same_values(load_parameters(file, small_layout(), description()), parameters);
    save_model(path_, description(), parameters);
    expect_same_values(load_parameters(path_, small_layout(), description()), parameters);
}

TEST_F(ModelFile, ParametersOfAnotherModelAreRefusedByName) {
    save_model(path_, description(), counted_parameters(small_layout()));
    Layout other;
    other.add("0.weight", {2, 3, 1, 1});
    other.add("0.bias", {5});
    other.add("4.weight", {2});
    EXPECT_THAT(
        [&] { (void)load_parameters(path_, other, description()); },
        ThrowsMessage<DataError>(AllOf(HasSubstr("0.bias: (5) here, (2) there"), HasSubstr("4.weight: (2) here, missing there"),
                                       HasSubstr("3.bias: missing here, (4) there"), Not(HasSubstr("0.weight")), Not(HasSubstr("more")))));
    Layout none;
    for (int i = 0; i < 9; ++i) none.add(fmt::format("layer{}", i), {1});
    EXPECT_THAT([&] { (void)load_parameters(path_, none, description()); },
                ThrowsMessage<DataError>(AllOf(HasSubstr("layer4"), Not(HasSubstr("layer5")), HasSubstr("and 8 more"))));
    EXPECT_THAT([&] { (void)load_parameters("model.pt", other, description()); },
                ThrowsMessage<DataError>(HasSubstr("a .h5 or .safetensors file")));
}

// The tensors are the same, what they stand for is not.
TEST_F(ModelFile, ParametersForAnotherUseAreRefused) {
    save_model(path_, description(), counted_parameters(small_layout()));
    const auto refused = [&](auto&& change, const std::string& words) {
        ModelDescription here = description();
        change(here);
        EXPECT_THAT([&] { (void)load_parameters(path_, small_layout(), here); }, ThrowsMessage<DataError>(HasSubstr(words)));
    };
    refused([](auto& here) { std::swap(here.class_names[0], here.class_names[1]); }, "other classes");
    refused([](auto& here) { std::swap(here.feature_names[0], here.feature_names[1]); }, "other features");
    refused([](auto& here) { here.layers = "conv 2 1, tanh, flatten, dense outputs"; }, "its layers are conv 2 1, relu");
    ModelDescription nameless = description();
    nameless.class_names.clear();
    nameless.feature_names.clear();
    expect_same_values(load_parameters(path_, small_layout(), nameless), counted_parameters(small_layout()));
}

TEST_F(ModelFile, ParametersThatAreNotFiniteAreRefused) {
    Parameters parameters = counted_parameters(small_layout());
    parameters.values[7] = std::numeric_limits<float>::infinity();
    save_model(path_, description(), parameters);
    EXPECT_THAT([&] { (void)load_parameters(path_, small_layout(), description()); },
                ThrowsMessage<DataError>(HasSubstr("\"0.bias\" holds values that are not finite")));
}

}  // namespace
}  // namespace silosum

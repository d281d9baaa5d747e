// The verbs `evaluate`, `predict` and `export` as their users meet them: arguments in, files, text and exit codes out.
#include <cmath>
#include <cstdio>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "commands/evaluate.hpp"
#include "commands/export.hpp"
#include "commands/predict.hpp"
#include "data/shard.hpp"
#include "io/hdf5.hpp"
#include "io/safetensors.hpp"
#include "model/model_file.hpp"
#include "support/message_of.hpp"
#include "support/temporary_folder.hpp"

namespace silosum {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

/// Rows of two features around (10, 100); the label is 1 where the first is above 10.
Shard make_shard(const std::string& silo, std::size_t train, std::size_t test, int first) {
    Shard shard;
    shard.silo = silo;
    shard.problem = {.task = Task::binary, .classes = 2, .feature_shape = {2}};
    shard.class_names = {"low", "high, very"};
    int next = first;
    for (auto [split, rows] : {std::pair(&shard.train, train), std::pair(&shard.test, test)}) {
        split->rows = rows;
        split->features = 2;
        for (std::size_t row = 0; row < rows; ++row, ++next) {
            const float x = static_cast<float>(next * 7 % 20) - 9.5F;
            split->floats.insert(split->floats.end(), {10 + x, 100 + static_cast<float>(next % 5)});
            split->labels.push_back(x > 0 ? 1 : 0);
        }
    }
    return shard;
}

/// More than are computed in one go.
constexpr std::size_t test_rows = 300;

class ModelCommands : public ::testing::Test {
protected:
    ModelCommands() {
        write_shard(shard_, make_shard("north", 30, test_rows, 0));
        write_shard(other_, make_shard("south", 30, 5, 3));
        write_shard(common_, make_shard("common", 0, test_rows, 0));
        save("federated");
    }

    /// logit = (x0 - 10) / 2 when the mean and the deviation are stored.
    void save(const std::string& standardise) const {
        Layout layout;
        layout.add("0.weight", {1, 2});
        layout.add("0.bias", {1});
        Parameters parameters(layout);
        parameters.values[0] = 1;
        ModelDescription description;
        description.problem = {.task = Task::binary, .classes = 2, .feature_shape = {2}};
        description.layers = "dense outputs";
        description.loss = "auto";
        description.round = 3;
        description.class_names = {"low", "high, very"};
        description.standardisation.kind = standardise;
        if (standardise == "federated") {
            description.standardisation.mean = {10, 100};
            description.standardisation.deviation = {2, 0};
        }
        save_model(model_, description, parameters);
    }

    template <class Verb>
    std::string run(const Verb& verb, const std::vector<std::string>& arguments) {
        ::testing::internal::CaptureStdout();
        try {
            EXPECT_EQ(verb(arguments), 0);
        } catch (...) {
            (void)::testing::internal::GetCapturedStdout();
            throw;
        }
        std::fflush(stdout);
        return ::testing::internal::GetCapturedStdout();
    }

    TemporaryFolder folder_;
    std::string model_ = (folder_ / "model.h5").string();
    std::string shard_ = (folder_ / "north.h5").string();
    std::string other_ = (folder_ / "south.h5").string();
    std::string common_ = (folder_ / "test.h5").string();
};

TEST_F(ModelCommands, EvaluateAddsShardsUp) {
    const auto json = nlohmann::json::parse(run(run_evaluate, {"--model", model_, "--data", shard_, other_, "--json"}));
    EXPECT_EQ(json["shards"].size(), 2U);
    EXPECT_EQ(json["overall"]["rows"], test_rows + 5);
    EXPECT_EQ(json["overall"]["accuracy"], 1.0);
    EXPECT_EQ(json["overall"]["auc"], 1.0);
    const double loss =
        (test_rows * json["shards"][0]["loss"].get<double>() + 5 * json["shards"][1]["loss"].get<double>()) / (test_rows + 5);
    EXPECT_NEAR(json["overall"]["loss"].get<double>(), loss, 1e-12);
    EXPECT_EQ(json["model_sha256"], load_model(model_).sha256);
}

TEST_F(ModelCommands, EvaluatePrintsSilosAllRowsAndTheWorst) {
    const std::string text = run(run_evaluate, {"--model", model_, "--data", shard_, other_, "--split", "train"});
    EXPECT_THAT(text, AllOf(HasSubstr("north"), HasSubstr("south"), HasSubstr("all rows"), HasSubstr("worst silo"), HasSubstr("3 rounds"),
                            HasSubstr("high, very")));
}

TEST_F(ModelCommands, EvaluateTakesACommonTestShard) {
    const auto of_silo = nlohmann::json::parse(run(run_evaluate, {"--model", model_, "--data", shard_, "--json"}));
    const auto common = nlohmann::json::parse(run(run_evaluate, {"--model", model_, "--data", common_, "--json"}));
    EXPECT_EQ(common["overall"]["rows"], of_silo["overall"]["rows"]);
    EXPECT_THAT(message_of<DataError>([&] {
                    (void)run(run_evaluate, {"--model", model_, "--data", common_, "--split", "train"});
                }),
                HasSubstr("has no train rows (train 0, validation 0, test 300)"));
}

TEST_F(ModelCommands, PerSiloStandardisationComesFromTheShardItself) {
    save("silo");
    const std::string text = run(run_evaluate, {"--model", model_, "--data", shard_});
    EXPECT_THAT(text, HasSubstr("standardised with each shard's own train rows"));
    EXPECT_THAT(message_of<DataError>([&] {
                    (void)run(run_evaluate, {"--model", model_, "--data", common_});
                }),
                HasSubstr("own train rows"));
}

TEST_F(ModelCommands, PredictWritesWhatTheModelSays) {
    const auto lines = split(run(run_predict, {"--model", model_, "--data", shard_, "--logits", "--out", "-"}), '\n');
    ASSERT_EQ(lines.size(), test_rows + 2U);  // header, rows, and nothing behind the last line break
    EXPECT_EQ(lines[0], "row,prediction,class,probability,logit,label");
    const Shard shard = read_shard(shard_);
    for (std::size_t row = 0; row < test_rows; ++row) {
        const float logit = (shard.test.floats[2 * row] - 10) / 2;
        const bool high = logit > 0;
        const auto probability = static_cast<float>(1 / (1 + std::exp(-static_cast<double>(logit))));
        EXPECT_EQ(lines[row + 1], fmt::format("{},{},{},{},{},{}", row, high ? 1 : 0, high ? "\"high, very\"" : "low", probability, logit,
                                              shard.test.labels[row]));
    }
}

TEST_F(ModelCommands, PredictionsAreTheSameInEveryFormat) {
    const std::string printed = run(run_predict, {"--model", model_, "--data", shard_, "--logits", "--out", "-"});
    (void)run(run_predict, {"--model", model_, "--data", shard_, "--logits", "--out", (folder_ / "p.csv").string()});
    EXPECT_EQ(read_text(folder_ / "p.csv"), printed);
    (void)run(run_predict, {"--model", model_, "--data", shard_, "--logits", "--threads", "2", "--out", (folder_ / "p.h5").string()});
    const hdf5::File file = hdf5::open_file(folder_ / "p.h5");
    EXPECT_EQ(file.string_attribute("model_sha256"), load_model(model_).sha256);
    std::vector<float> logits(test_rows);
    file.dataset("logit").read(std::span(logits));
    const auto lines = split(printed, '\n');
    for (std::size_t row = 0; row < test_rows; ++row) EXPECT_THAT(lines[row + 1], HasSubstr(fmt::format(",{},", logits[row])));
}

TEST_F(ModelCommands, ExportWritesTheParameters) {
    const auto out = folder_ / "model.safetensors";
    EXPECT_THAT(run(run_export, {"--model", model_, "--format", "safetensors", "--out", out.string()}),
                HasSubstr("3 parameters in 2 tensors"));
    const auto file = safetensors::read(out);
    EXPECT_EQ(file.tensors[0].name, "0.weight");
    EXPECT_EQ(file.tensors[0].values, (std::vector<float>{1, 0}));
    EXPECT_EQ(file.metadata.at("standardise_mean"), "[10.0,100.0]");
}

TEST_F(ModelCommands, WrongArgumentsAreUsageErrors) {
    const auto refusal = [&](const auto& verb, const std::vector<std::string>& arguments) {
        return message_of<UsageError>([&] { (void)run(verb, arguments); });
    };
    EXPECT_THAT(refusal(run_evaluate, {"--modle", model_, "--data", shard_}),
                HasSubstr("unknown option \"--modle\"; did you mean \"--model\"?"));
    EXPECT_THAT(refusal(run_evaluate, {"--data", shard_}), HasSubstr("--model"));
    EXPECT_THAT(refusal(run_evaluate, {"--model", model_, "--data", shard_, "--split", "tests"}), HasSubstr("did you mean \"test\"?"));
    EXPECT_THAT(refusal(run_evaluate, {"--model", model_, "--data", shard_, "--threads", "0"}), HasSubstr("--threads"));
    EXPECT_THAT(refusal(run_predict, {"--model", model_, "--data", shard_, "--out", "p.txt"}), HasSubstr(".csv or .h5"));
    EXPECT_THAT(refusal(run_export, {"--model", model_, "--format", "safetensor", "--out", "x"}),
                HasSubstr("did you mean \"safetensors\"?"));
}

TEST_F(ModelCommands, FilesThatDoNotFitAreDataErrors) {
    const auto refusal = [&](const std::vector<std::string>& arguments) {
        return message_of<DataError>([&] { (void)run(run_evaluate, arguments); });
    };
    EXPECT_THAT(refusal({"--model", (folder_ / "none.h5").string(), "--data", shard_}), HasSubstr("none.h5"));
    EXPECT_THAT(refusal({"--model", model_, "--data", (folder_ / "none.h5").string()}), HasSubstr("none.h5"));
    EXPECT_THAT(refusal({"--model", shard_, "--data", shard_}), HasSubstr("is not a model file: its format is \"silosum-shard\""));
    Shard wide = make_shard("wide", 4, 4, 0);
    wide.problem.feature_shape = {1};
    for (Split* split : {&wide.train, &wide.test}) {
        split->features = 1;
        split->floats.resize(split->rows);
    }
    write_shard(folder_ / "wide.h5", wide);
    EXPECT_THAT(refusal({"--model", model_, "--data", (folder_ / "wide.h5").string()}),
                AllOf(HasSubstr("1 features"), HasSubstr("2 features")));
    Shard named = make_shard("named", 4, 4, 0);
    named.class_names = {"high, very", "low"};
    write_shard(folder_ / "named.h5", named);
    EXPECT_THAT(refusal({"--model", model_, "--data", (folder_ / "named.h5").string()}), HasSubstr("classes"));
}

}  // namespace
}  // namespace silosum

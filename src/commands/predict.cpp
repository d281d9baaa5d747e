#include "commands/predict.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ostream.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/version.hpp"
#include "commands/loaded_model.hpp"
#include "commands/output_file.hpp"
#include "commands/verb_options.hpp"
#include "data/loader.hpp"
#include "data/standardise.hpp"
#include "io/atomic_file.hpp"
#include "io/hdf5.hpp"
#include "kernels/loss.hpp"

namespace silosum {

namespace {

namespace po = boost::program_options;

/// What the model says about the rows of a split, row-major.
struct Predictions {
    Problem problem;
    std::vector<std::string> class_names;
    std::size_t rows = 0;
    std::vector<float> outputs;           // (rows, problem.outputs()): logits, or the predicted values
    std::vector<float> probabilities;     // (rows, classes); binary (rows), of class 1; regression none
    std::vector<std::int64_t> predicted;  // class of each row; regression none
    const Split* truth = nullptr;

    [[nodiscard]] std::size_t columns(const std::vector<float>& values) const { return rows == 0 ? 0 : values.size() / rows; }
};

Predictions predict(LoadedModel& model, const Shard& shard, const Split& split) {
    const ModelDescription& description = model.model.description;
    Predictions made;
    made.problem = description.problem;
    made.class_names = description.class_names;
    made.rows = split.rows;
    made.truth = &split;
    const std::size_t width = made.problem.outputs();
    made.outputs.resize(split.rows * width);
    const Affine affine = affine_for(description.standardisation, shard);
    std::vector<float> x(logits_block * split.features);
    std::vector<std::uint32_t> rows;
    for (std::size_t first = 0; first < split.rows; first += logits_block) {
        rows.resize(std::min(logits_block, split.rows - first));
        std::iota(rows.begin(), rows.end(), static_cast<std::uint32_t>(first));
        gather(split, affine, rows, x.data());
        model.network.predict(rows.size(), x.data(), made.outputs.data() + first * width);
    }
    return made;
}

void add_classes(Predictions& made) {
    if (made.problem.task == Task::regression) return;
    made.probabilities.resize(made.outputs.size());
    const std::size_t width = made.problem.outputs();
    if (made.problem.task == Task::binary) {
        std::transform(made.outputs.begin(), made.outputs.end(), made.probabilities.begin(),
                       [](float logit) { return static_cast<float>(1 / (1 + std::exp(-static_cast<double>(logit)))); });
    } else {
        kernels::softmax(made.rows, width, made.outputs.data(), made.probabilities.data());
    }
    for (std::size_t row = 0; row < made.rows; ++row) {
        const float* logits = made.outputs.data() + row * width;
        made.predicted.push_back(made.problem.task == Task::binary ? (logits[0] > 0 ? 1 : 0)
                                                                   : std::max_element(logits, logits + width) - logits);
    }
}

std::string csv_header(const Predictions& made, bool with_logits) {
    std::string header = "row,prediction";
    if (made.problem.task == Task::regression) return header + ",target\n";
    if (!made.class_names.empty()) header += ",class";
    for (const char* what : {"probability", "logit"}) {
        if (what == std::string("logit") && !with_logits) continue;
        if (made.problem.task == Task::binary) header += fmt::format(",{}", what);
        for (std::size_t c = 0; made.problem.task != Task::binary && c < made.problem.classes; ++c)
            header += fmt::format(",{}_{}", what, c);
    }
    return header + ",label\n";
}

void append_values(std::string& text, const std::vector<float>& values, std::size_t columns, std::size_t row) {
    for (std::size_t column = 0; column < columns; ++column)
        fmt::format_to(std::back_inserter(text), ",{}", values[row * columns + column]);
}

// Numbers have as many digits as give the same float32 back.
std::string as_csv(const Predictions& made, bool with_logits) {
    std::string text = csv_header(made, with_logits);
    for (std::size_t row = 0; row < made.rows; ++row) {
        text += std::to_string(row);
        if (made.problem.task == Task::regression) {
            fmt::format_to(std::back_inserter(text), ",{},{}\n", made.outputs[row], made.truth->targets[row]);
            continue;
        }
        fmt::format_to(std::back_inserter(text), ",{}", made.predicted[row]);
        if (!made.class_names.empty()) {
            fmt::format_to(std::back_inserter(text), ",{}", csv_field(made.class_names[static_cast<std::size_t>(made.predicted[row])]));
        }
        append_values(text, made.probabilities, made.columns(made.probabilities), row);
        if (with_logits) append_values(text, made.outputs, made.columns(made.outputs), row);
        fmt::format_to(std::back_inserter(text), ",{}\n", made.truth->labels[row]);
    }
    return text;
}

void write_hdf5(const std::filesystem::path& path, const Predictions& made, bool with_logits, const LoadedModel& model, const Shard& shard,
                const std::string& split) {
    AtomicFile target(path);
    hdf5::File file = hdf5::create_file(target.temporary());
    file.set_attribute("format", "silosum-predictions");
    file.set_attribute("version", std::int64_t{1});
    file.set_attribute("silosum_version", version);
    file.set_attribute("model_sha256", model.model.sha256);
    file.set_attribute("silo", shard.silo);
    file.set_attribute("split", split);
    file.set_attribute("task", to_string(made.problem.task));
    const auto shape = [&](const std::vector<float>& values) {
        return made.problem.task == Task::classification ? hdf5::Shape{made.rows, made.columns(values)} : hdf5::Shape{made.rows};
    };
    if (made.problem.task == Task::regression) {
        file.write<float>("prediction", {made.rows}, made.outputs);
        file.write<float>("target", {made.rows}, made.truth->targets);
    } else {
        file.write<std::int64_t>("prediction", {made.rows}, made.predicted);
        file.write<float>("probability", shape(made.probabilities), made.probabilities);
        if (with_logits) file.write<float>("logit", shape(made.outputs), made.outputs);
        file.write<std::int32_t>("label", {made.rows}, made.truth->labels);
        if (!made.class_names.empty()) file.write_strings("class_names", made.class_names);
    }
    file.close();
    target.commit();
}

}  // namespace

int run_predict(const std::vector<std::string>& arguments) {
    std::string model_file, data, split, out;
    std::size_t threads = 1;
    po::options_description options("Options");
    options.add_options()("model", po::value(&model_file)->required(), "model file, such as runs/NAME/model.h5")(
        "data", po::value(&data)->required(), "a shard, of a silo or a common test shard")(
        "split", po::value(&split)->default_value("test"), "rows to predict: train, validation or test")(
        "out", po::value(&out)->required(), "file to write, .csv or .h5, or - to print CSV")("logits", "the network's outputs as well")(
        "threads", po::value(&threads)->default_value(1), "threads; the result is the same for any number")("help", "this text");
    const po::variables_map given = read_verb_options(arguments, options);
    if (given.contains("help")) {
        fmt::print(
            "Writes the predicted class, the probabilities and the known label of every row of a shard.\n\n"
            "  silosum predict --model runs/penguins/model.h5 --data shards/dream.h5 --out dream.csv\n\n{}",
            fmt::streamed(options));
        return 0;
    }
    const std::string extension = std::filesystem::path(out).extension().string();
    require(out == "-" || extension == ".csv" || extension == ".h5", "--out {}: must end with .csv or .h5, or be -", out);
    require(threads >= 1 && threads <= 1024, "--threads must be from 1 to 1024, got {}", threads);
    if (out != "-") check_output("--out", out, {{"--model", model_file}, {"--data", data}});
    LoadedModel model(model_file, threads);
    const Shard shard = read_shard_for(model, data);
    Predictions made = predict(model, shard, split_of(shard, split));
    add_classes(made);
    const bool with_logits = given.contains("logits");
    if (extension == ".h5") {
        write_hdf5(out, made, with_logits, model, shard, split);
    } else if (out == "-") {
        const std::string text = as_csv(made, with_logits);
        const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
        require<RuntimeError>(written, "standard output cannot be written");
    } else {
        write_file_atomically(out, as_csv(made, with_logits));
    }
    if (out != "-") fmt::print("{} rows of {} ({}) written to {}\n", made.rows, shard.silo, split, out);
    return 0;
}

}  // namespace silosum

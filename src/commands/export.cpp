#include "commands/export.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ostream.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "commands/output_file.hpp"
#include "commands/verb_options.hpp"
#include "model/model_file.hpp"

namespace silosum {

namespace {

namespace po = boost::program_options;

struct FormatRow {
    std::string name;
    std::string help;
    void (*write)(const std::filesystem::path& path, const ModelDescription& description, const Parameters& parameters);
};

const std::vector<FormatRow>& format_list() {
    static const std::vector<FormatRow> rows{
        {"safetensors", "tensors under the names of torch.nn.Sequential, the description as __metadata__", export_safetensors}};
    return rows;
}

const FormatRow& format_named(const std::string& name) {
    std::vector<std::string> names;
    for (const FormatRow& row : format_list()) {
        if (row.name == name) return row;
        names.push_back(row.name);
    }
    throw UsageError(unknown_name("format", name, names));
}

}  // namespace

int run_export(const std::vector<std::string>& arguments) {
    std::string model_file, format, out;
    std::string formats = "format to write:";
    for (const FormatRow& row : format_list()) formats += fmt::format(" {} ({})", row.name, row.help);
    po::options_description options("Options");
    options.add_options()("model", po::value(&model_file)->required(), "model file, such as runs/NAME/model.h5")(
        "format", po::value(&format)->default_value("safetensors"), formats.c_str())("out", po::value(&out)->required(), "file to write")(
        "help", "this text");
    const po::variables_map given = read_verb_options(arguments, options);
    if (given.contains("help")) {
        fmt::print(
            "Writes a model in a format that others read; scripts/pytorch_logits.py shows how PyTorch takes it.\n\n"
            "  silosum export --model runs/penguins/model.h5 --format safetensors --out penguins.safetensors\n\n{}",
            fmt::streamed(options));
        return 0;
    }
    const FormatRow& row = format_named(format);
    require(out.ends_with(".safetensors"), "--out {}: must end with .safetensors for --format {}", out, format);
    check_output("--out", out, {{"--model", model_file}});
    const Model model = load_model(model_file);
    row.write(out, model.description, model.parameters);
    fmt::print("{} parameters in {} tensors written to {}\n", model.parameters.values.size(), model.parameters.layout.tensors.size(), out);
    return 0;
}

}  // namespace silosum

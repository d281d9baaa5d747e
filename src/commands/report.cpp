#include "commands/report.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ostream.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "commands/output_file.hpp"
#include "commands/run_folder.hpp"
#include "commands/verb_options.hpp"
#include "io/atomic_file.hpp"
#include "observe/bench_report.hpp"
#include "observe/report.hpp"

namespace silosum {

namespace {

namespace po = boost::program_options;

// "" where there is none.
std::string text_of_file(const std::filesystem::path& file) {
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) return "";
    errno = 0;
    std::ifstream stream(file, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    require<RuntimeError>(stream.good(), "cannot read {}: {}", file.string(), std::strerror(errno));
    return text;
}

RunFolder folder_of(const std::string& path) {
    RunFolder folder;
    // "runs/penguins/" and "." have names too.
    folder.path = std::filesystem::absolute(path).lexically_normal();
    if (!folder.path.has_filename()) folder.path = folder.path.parent_path();
    std::error_code error;
    require<DataError>(std::filesystem::exists(folder.path, error),
                       "there is no {}: neither a run folder, which `silosum train` makes, nor a file of `silosum bench --json`", path);
    require<DataError>(std::filesystem::is_directory(folder.path, error),
                       "{} is a file, where others are run folders: runs and benchmarks are drawn on pages of their own", path);
    require<DataError>(folder.holds_run(), "{} is no run folder: it has no config.cfg that a run of silosum wrote", path);
    return folder;
}

// The last part of each path, or the whole path where two would have one name.
std::vector<std::string> names_of(const std::vector<std::filesystem::path>& paths) {
    std::vector<std::string> names;
    for (const auto& path : paths) {
        const auto same_name = [&](const std::filesystem::path& other) { return other.filename() == path.filename(); };
        const bool is_distinct = std::count_if(paths.begin(), paths.end(), same_name) == 1;
        names.push_back(is_distinct ? path.filename().string() : path.string());
    }
    return names;
}

void check_distinct(const std::vector<std::filesystem::path>& paths) {
    std::error_code ignored;
    for (std::size_t i = 0; i < paths.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j)
            require(!std::filesystem::equivalent(paths[i], paths[j], ignored), "{} is given twice", paths[i].string());
    }
}

void check_page(const std::string& out) {
    require(out.ends_with(".html"), "--out {}: must end with .html", out);
    check_output("--out", out, {});
}

void draw_runs(const std::vector<std::string>& runs, std::string out) {
    std::vector<RunFolder> folders;
    std::vector<std::filesystem::path> paths;
    for (const auto& run : runs) paths.push_back(folders.emplace_back(folder_of(run)).path);
    check_distinct(paths);
    if (out.empty()) out = runs.size() == 1 ? folders.front().report().string() : "report.html";
    check_page(out);

    const auto names = names_of(paths);
    std::vector<RunRecord> records;
    for (std::size_t i = 0; i < folders.size(); ++i) {
        // The summary first: where it is there, the rounds are too.
        const std::string summary = text_of_file(folders[i].summary());
        records.push_back(read_run(names[i], text_of_file(folders[i].config()), text_of_file(folders[i].metrics()), summary));
        for (const auto& warning : records.back().warnings) fmt::print(stderr, "silosum: warning: {}: {}\n", names[i], warning);
    }
    write_file_atomically(out, report_of(records));
    fmt::print("{} drawn in {}\n", counted(records.size(), "run"), out);
}

void draw_benchmarks(const std::vector<std::string>& files, std::string out) {
    const std::vector<std::filesystem::path> paths(files.begin(), files.end());
    std::error_code ignored;
    for (const auto& path : paths) {
        require<DataError>(std::filesystem::exists(path, ignored), "there is no file {}; `silosum bench --json` writes one", path.string());
        require<DataError>(std::filesystem::is_regular_file(path, ignored),
                           "{} is no file, where others are: runs and benchmarks are drawn on pages of their own", path.string());
    }
    check_distinct(paths);
    if (out.empty()) out = "report.html";
    check_page(out);

    const auto names = names_of(paths);
    std::vector<BenchRecord> records;
    for (std::size_t i = 0; i < paths.size(); ++i) records.push_back(read_bench(paths[i].string(), text_of_file(paths[i])));
    for (std::size_t i = 0; i < paths.size(); ++i) records[i].name = names[i];
    write_file_atomically(out, bench_report(records));
    fmt::print("{} drawn in {}\n", counted(records.size(), "benchmark file"), out);
}

}  // namespace

int run_report(const std::vector<std::string>& arguments) {
    std::vector<std::string> runs;
    std::string out;
    po::options_description options("Options");
    options.add_options()("runs", po::value(&runs)->multitoken(),
                          "run folders, or files of silosum bench --json; may stand without --runs")(
        "out", po::value(&out), "file to write, .html (default: report.html in the folder of a single run, else in the current folder)")(
        "help", "this text");
    const po::variables_map given = read_verb_options(arguments, options, "runs");
    if (given.contains("help")) {
        fmt::print(
            "Draws training runs, finished or going on, as one page of HTML that needs nothing else: curves with the spread over silos, "
            "bytes,\n"
            "times, configuration, hashes. Several runs are laid over each other. Files of silosum bench are drawn as curves by size and "
            "ranks.\n\n"
            "  silosum report runs/penguins\n  silosum report runs/penguins runs/two --out both.html\n"
            "  silosum report np2.json np4.json --out bench.html\n\n{}",
            fmt::streamed(options));
        return 0;
    }
    require(!given.contains("out") || !out.empty(), "--out \"\": names no file");
    require(std::ranges::find(runs, "") == runs.end(), "report: \"\" names nothing");
    require(!runs.empty(), "report needs run folders, or files of silosum bench --json; see silosum report --help");
    std::error_code ignored;
    if (std::filesystem::is_regular_file(runs.front(), ignored)) {
        draw_benchmarks(runs, out);
    } else {
        draw_runs(runs, out);
    }
    return 0;
}

}  // namespace silosum

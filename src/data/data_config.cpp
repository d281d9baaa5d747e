#include "data/data_config.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include <glob.h>

#include "base/error.hpp"

namespace silosum {

namespace {

bool is_positive_number(const std::string& text) {
    double value = 0.0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() && std::isfinite(value) && value > 0.0;
}

std::string problem_of_weights(const std::vector<std::string>& weights) {
    const bool is_word = weights.size() == 1 && (weights[0] == "none" || weights[0] == "balanced");
    if (is_word || (weights.size() >= 2 && std::all_of(weights.begin(), weights.end(), is_positive_number))) return "";
    return "must be none, balanced, or one positive number for each class";
}

std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        const auto& path = entry.path();
        const bool is_hidden = path.filename().string().starts_with(".");  // also the temporary names of files being written
        // A link to nowhere counts: a silo must not be left out in silence because its disk is not there.
        if (path.extension() == ".h5" && path.filename() != "test.h5" && !is_hidden && !entry.is_directory()) files.push_back(path);
    }
    std::sort(files.begin(), files.end());
    return files;
}

std::vector<std::filesystem::path> files_matching(const std::string& pattern) {
    glob_t found{};
    std::vector<std::filesystem::path> files;
    if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    ::globfree(&found);
    std::sort(files.begin(), files.end());  // the same order in every locale
    return files;
}

}  // namespace

void DataConfig::add_to(Options& options) {
    options
        .add("data.shards", &shards, {},
             "Shards of the silos: files, patterns such as shards/*.h5, or folders (every .h5 file in them but test.h5). Silos are "
             "numbered in this order. A comma within a path is written \\,.")
        .path()
        .check([this] { return shards.empty() ? "must name at least one shard file or folder" : ""; });
    options.add("data.silos", &silos, 0, at_least(0),
                "How many silos there must be: a shard that is missing in a folder is noticed; 0: any.");
    options
        .add("data.standardise", &standardise, "none",
             "Shift and scale every feature to mean 0 and deviation 1: `federated` by the moments of all silos' train rows, `silo` by "
             "those of "
             "the silo itself, `none` not at all.")
        .one_of({"none", "federated", "silo"});
    options
        .add("data.class_weights", &class_weights, {"none"},
             "Weights of the classes in the loss: `none`, `balanced` (all classes count the same over the federation), or a number for "
             "each class.")
        .check([this] { return problem_of_weights(class_weights); });
    options.add("data.drop_last", &drop_last, false, "Leave out the last batch of an epoch when it is not full.");
    options
        .add("data.stage", &stage, "",
             "Folder on every machine's own disk: each rank copies the shards of its silos there in one go, reads the copies, and removes "
             "them. For shared file systems that are slow with many small reads.")
        .path();
    options.add("data.public", &is_public, false, "The shards are no secret: do not warn where every user of a machine can read them.");
}

std::vector<std::filesystem::path> shard_files(const std::vector<std::string>& entries, const std::string& what) {
    std::vector<std::filesystem::path> all;
    for (const auto& entry : entries) {
        const bool is_folder = std::filesystem::is_directory(entry);
        const bool is_pattern = entry.find_first_of("*?[") != std::string::npos && !std::filesystem::exists(entry);
        std::vector<std::filesystem::path> files{entry};
        if (is_folder) files = files_in(entry);
        if (is_pattern) files = files_matching(entry);
        require<DataError>(!files.empty(), "{}: {} {}", what, entry,
                           is_folder ? "is a folder without shards (.h5 files other than test.h5)" : "matches no file");
        all.insert(all.end(), files.begin(), files.end());
    }
    std::set<std::filesystem::path> seen;
    for (const auto& file : all) {
        require<DataError>(seen.insert(std::filesystem::weakly_canonical(file)).second, "{}: {} is named twice", what, file.string());
    }
    return all;
}

}  // namespace silosum

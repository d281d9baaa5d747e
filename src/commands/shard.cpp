#include "commands/shard.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <system_error>

#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ostream.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "commands/shard_table.hpp"
#include "commands/verb_options.hpp"
#include "data/cut.hpp"
#include "data/import_csv.hpp"
#include "data/import_mnist.hpp"
#include "data/number_text.hpp"
#include "data/partition.hpp"

namespace silosum {

namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;

constexpr const char* usage =
    "Cuts a data set into one HDF5 shard for each silo.\n"
    "\n"
    "  silosum shard --from mnist:FOLDER --silos 10 --split dirichlet:0.5 --out shards\n"
    "  silosum shard --from csv:table.csv --label species --split by:island --out shards\n"
    "  silosum shard --from csv:north.csv south.csv --label y --out shards        one file is one silo\n";

struct Words {
    std::string split, out, missing, separator, columns, ignore, categorical, numeric, missing_values;
    std::vector<std::string> from;
    std::int64_t silos = 0, seed = 1, min_rows = 10;
    CsvSettings csv;
    CutSettings cut;
    bool pooled_test = false;
};

po::options_description general_options(Words& words) {
    po::options_description options("Options");
    auto add = options.add_options();
    add("from", po::value(&words.from)->multitoken()->required()->value_name("SOURCE"),
        "mnist:FOLDER with four IDX files (plain or .gz), or csv:FILE and more files (plain or .gz)");
    add("out", po::value(&words.out)->required()->value_name("FOLDER"), "where the shards go: silo-000.h5..., or silo-NAME.h5");
    add("silos", po::value(&words.silos)->value_name("N"), "number of silos; columns and files that name the silos give it themselves");
    add("split", po::value(&words.split)->value_name("HOW"),
        "iid: equal sizes at random (the default)\n"
        "labels:K: sorted by label and cut, K pieces for each silo\n"
        "dirichlet:A: label skew, strong for A below 1\n"
        "quantity:A: skewed sizes, labels at random\n"
        "by:COLUMN: one silo for each value of the column");
    add("min-rows", po::value(&words.min_rows)->default_value(10)->value_name("N"), "fewest rows of a silo, for dirichlet and quantity");
    add("test-fraction", po::value(&words.cut.test_fraction)->default_value(0.1, "0.1")->value_name("F"),
        "share of each silo's rows for its test split");
    add("validation-fraction", po::value(&words.cut.validation_fraction)->default_value(0.0, "0")->value_name("F"),
        "share of each silo's rows for its validation split");
    add("pooled-test", "write the test rows of all silos together to test.h5 as well, for eval.common_test: only where they may be pooled");
    add("seed", po::value(&words.seed)->default_value(1)->value_name("S"), "the same seed gives the same shards, byte for byte");
    add("force", "replace the shards that are in the folder");
    add("help", "this text");
    return options;
}

po::options_description csv_options(Words& words) {
    po::options_description options("For csv");
    auto add = options.add_options();
    add("label", po::value(&words.csv.label)->value_name("COLUMN"), "the column to be learnt");
    add("task", po::value(&words.csv.task)->value_name("TASK"), "classification, binary or regression; needed when the label is numeric");
    add("positive", po::value(&words.csv.positive)->value_name("LABEL"), "the label that is 1 in a binary task (the last in order)");
    add("ignore", po::value(&words.ignore)->value_name("A,B"), "columns to leave out");
    add("categorical", po::value(&words.categorical)->value_name("A,B"), "columns of numbers that are names; words always are");
    add("numeric", po::value(&words.numeric)->value_name("A,B"), "columns in which anything but a number is an error");
    add("drop-first", "leave out each column's first category: it is all zeros");
    add("missing", po::value(&words.missing)->default_value("error")->value_name("WHAT"),
        "rows that miss a value: error, drop (the row), or mean (fill with the mean or the most frequent category of the silo's own train "
        "rows)");
    add("missing-values", po::value(&words.missing_values)->value_name("A,B"), "what stands for a missing value, besides an empty field");
    add("set-column", po::value(&words.csv.set_column)->value_name("COLUMN"), "the column that says train, validation or test");
    add("separator", po::value(&words.separator)->default_value(",")->value_name("C"), "a character, or tab");
    add("columns", po::value(&words.columns)->value_name("A,B"), "names of the columns, for files without a header line");
    return options;
}

struct SplitChoice {
    std::string kind;
    std::string argument;
};

SplitChoice read_split(const std::string& text) {
    static const std::vector<std::string> known{"iid", "labels", "dirichlet", "quantity", "by"};
    const auto colon = text.find(':');
    SplitChoice choice{text.substr(0, colon), colon == std::string::npos ? "" : text.substr(colon + 1)};
    require(std::find(known.begin(), known.end(), choice.kind) != known.end(), "--split: {}", unknown_name("split", choice.kind, known));
    require((choice.kind == "iid") == (colon == std::string::npos), "--split {}: {}", text,
            choice.kind == "iid" ? "iid takes nothing after it" : "a value after a colon is missing");
    return choice;
}

double split_number(const SplitChoice& choice) {
    const auto number = number_from(choice.argument);
    require(number.has_value() && *number > 0.0, "--split {}:{}: a number above 0 must follow the colon", choice.kind, choice.argument);
    return *number;
}

MissingPolicy missing_policy(const std::string& word) {
    if (word == "error") return MissingPolicy::error;
    if (word == "drop") return MissingPolicy::drop;
    require(word == "mean", "--missing {}: must be error, drop or mean", word);
    return MissingPolicy::mean;
}

Source import_csv_source(Words& words, const std::vector<fs::path>& files, const SplitChoice& split, std::vector<std::string>& notes) {
    CsvSettings& csv = words.csv;
    csv.files = files;
    require(words.separator == "tab" || words.separator.size() == 1, "--separator {}: must be one character, or tab", words.separator);
    csv.separator = words.separator == "tab" ? '\t' : words.separator[0];
    csv.columns = comma_list(words.columns);
    csv.ignore = comma_list(words.ignore);
    csv.categorical = comma_list(words.categorical);
    csv.numeric = comma_list(words.numeric);
    csv.missing = missing_policy(words.missing);
    if (!words.missing_values.empty()) csv.missing_values = comma_list(words.missing_values);
    if (split.kind == "by") csv.silo_column = split.argument;
    csv.file_is_silo = split.kind == "file";
    return import_csv(csv, notes);
}

void refuse_csv_options(const po::variables_map& given, const po::options_description& csv) {
    for (const auto& option : csv.options()) {
        const auto found = given.find(option->long_name());
        require(found == given.end() || found->second.defaulted(), "--{} is for csv sources", option->long_name());
    }
}

Source import_source(const po::variables_map& given, const po::options_description& csv, Words& words, const SplitChoice& split,
                     std::vector<std::string>& notes) {
    const std::string& first = words.from.front();
    if (first.starts_with("mnist:")) {
        require(words.from.size() == 1, "--from mnist:FOLDER takes one folder, not {} words", words.from.size());
        refuse_csv_options(given, csv);
        require(split.kind != "by", "--split by:{}: images have no columns", split.argument);
        return import_mnist(first.substr(6));
    }
    require(first.starts_with("csv:"), "--from {}: must begin with mnist: or csv:", first);
    std::vector<fs::path> files;
    for (const auto& word : words.from) files.emplace_back(word.starts_with("csv:") ? word.substr(4) : word);
    return import_csv_source(words, files, split, notes);
}

// Without --split and --silos: each CSV file is a silo. Anything else is dealt out evenly.
SplitChoice choose_split(const Words& words) {
    if (!words.split.empty()) return read_split(words.split);
    if (words.from.front().starts_with("csv:") && words.silos == 0) return {"file", ""};
    return {"iid", ""};
}

struct Deal {
    Parts parts;
    std::vector<std::string> names;
};

Deal deal_rows(const Source& source, const SplitChoice& split, const Words& words) {
    Deal deal;
    const auto silos = static_cast<std::size_t>(words.silos);
    const auto seed = static_cast<std::uint64_t>(words.seed);
    const auto min_rows = static_cast<std::size_t>(words.min_rows);
    if (!source.silo_of_row.empty()) {
        deal.parts = split_by_name(source.silo_of_row, deal.names);
        require(silos == 0 || silos == deal.parts.size(), "--silos {}: the data names {} silos: {}", silos, deal.parts.size(),
                join(deal.names, ", "));
        return deal;
    }
    require(silos >= 1, "--split {} needs --silos N", split.kind);
    const bool needs_labels = split.kind == "labels" || split.kind == "dirichlet";
    require(!needs_labels || !source.rows.labels.empty(), "--split {} needs classes; the task is {}", split.kind,
            to_string(source.problem.task));
    if (split.kind == "iid") deal.parts = split_iid(source.rows.rows, silos, seed);
    if (split.kind == "labels") {
        const double pieces = split_number(split);
        require(pieces == static_cast<double>(static_cast<std::size_t>(pieces)), "--split labels:{}: must be a whole number",
                split.argument);
        deal.parts = split_by_labels(source.rows.labels, static_cast<std::size_t>(pieces), silos, seed);
    }
    if (split.kind == "dirichlet") {
        deal.parts = split_dirichlet(source.rows.labels, source.problem.classes, split_number(split), silos, min_rows, seed);
    }
    if (split.kind == "quantity") deal.parts = split_by_quantity(source.rows.rows, split_number(split), silos, min_rows, seed);
    const int digits = std::max(3, static_cast<int>(std::to_string(silos - 1).size()));
    for (std::size_t i = 0; i < silos; ++i) deal.names.push_back(fmt::format("{:0{}}", i, digits));
    return deal;
}

// Names come from tables: what a file name should not hold becomes "_".
std::vector<fs::path> file_names(const std::vector<std::string>& silos) {
    std::vector<fs::path> files;
    std::map<std::string, std::string> silo_of;
    for (const auto& silo : silos) {
        std::string name = silo;
        for (char& c : name) {
            const bool is_plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.' || (c & 0x80) != 0;
            if (!is_plain) c = '_';
        }
        const auto [other, is_new] = silo_of.emplace(name, silo);
        require<DataError>(is_new, "silos \"{}\" and \"{}\" would share the file silo-{}.h5: rename one", other->second, silo, name);
        files.emplace_back(fmt::format("silo-{}.h5", name));
    }
    return files;
}

std::set<fs::path> shards_in(const fs::path& folder) {
    std::set<fs::path> files;
    if (!fs::is_directory(folder)) return files;
    for (const auto& entry : fs::directory_iterator(folder)) {
        const fs::path name = entry.path().filename();
        const bool is_ours = name == "test.h5" || name.string().starts_with("silo-");
        if (is_ours && name.extension() == ".h5") files.insert(name);
    }
    return files;
}

void check_numbers(const po::variables_map& given, const Words& words) {
    require(words.silos >= 0 && (words.silos > 0 || !given.contains("silos")), "--silos {}: must be at least 1", words.silos);
    require(words.seed >= 0, "--seed {}: must be at least 0", words.seed);
    require(words.min_rows >= 1, "--min-rows {}: must be at least 1", words.min_rows);
    for (const auto& [name, value] :
         {std::pair<const char*, double>{"test", words.cut.test_fraction}, {"validation", words.cut.validation_fraction}}) {
        require(value >= 0.0 && value < 1.0, "--{}-fraction {}: must be at least 0 and below 1", name, value);
    }
    const double both = words.cut.test_fraction + words.cut.validation_fraction;
    require(both < 1.0, "--test-fraction and --validation-fraction add up to {}: nothing is left to train on", both);
    require(words.csv.set_column.empty() || given["test-fraction"].defaulted(),
            "--test-fraction and --set-column both choose the test rows: give one");
}

void make_folder(const fs::path& folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    require<RuntimeError>(!error, "cannot create the folder {}: {}", folder.string(), error.message());
}

// A folder within another that goes with everything still in it.
class Staging {
public:
    explicit Staging(const fs::path& within) : path(within / fmt::format(".new-{}", ::getpid())) {
        fs::remove_all(path);
        make_folder(path);
    }
    ~Staging() {
        std::error_code ignored;  // what is left only takes room
        fs::remove_all(path, ignored);
    }
    Staging(const Staging&) = delete;
    Staging& operator=(const Staging&) = delete;
    const fs::path path;
};

// All shards are written apart first: when that fails, those of an earlier run are as they were.
void write_shards(const Source& source, const Deal& deal, const Words& words) {
    Shard common_test = common_test_shard(source);
    const fs::path out(words.out);
    make_folder(out);
    const Staging staging(out);
    std::set<fs::path> before = shards_in(out);
    const auto files = file_names(deal.names);
    CutSettings cut = words.cut;
    cut.seed = static_cast<std::uint64_t>(words.seed);
    ShardTable table;
    std::vector<std::string> notes;
    for (std::size_t i = 0; i < files.size(); ++i) {
        const Shard shard = cut_shard(source, deal.parts[i], deal.names[i], static_cast<std::uint32_t>(i), cut, notes);
        write_shard(staging.path / files[i], shard);
        table.add(shard);
        if (words.pooled_test) append_rows(common_test.test, shard.test);
    }
    if (common_test.test.rows > 0) {
        write_shard(staging.path / "test.h5", common_test);
    }
    for (const auto& file : shards_in(staging.path)) {
        fs::rename(staging.path / file, out / file);
        before.erase(file);
    }
    // Shards of an earlier run would be read as silos of this one.
    for (const auto& stale : before) fs::remove(out / stale);

    for (const auto& note : notes) fmt::print("{}\n", note);
    fmt::print("\n{}\n", table.text());
    if (common_test.test.rows > 0) {
        fmt::print("common test set: {} rows of {} in {} (for eval.common_test)\n", common_test.test.rows,
                   words.pooled_test ? "all silos" : "the source", (out / "test.h5").string());
    }
    if (!before.empty()) fmt::print("removed {} old shards\n", before.size());
    fmt::print("wrote {} to {}\n", counted(files.size(), "shard"), out.string());
}

}  // namespace

int run_shard(const std::vector<std::string>& arguments) {
    Words words;
    const po::options_description csv = csv_options(words);
    po::options_description all = general_options(words);
    all.add(csv);
    const po::variables_map given = read_verb_options(arguments, all);
    if (given.contains("help")) {
        fmt::print("{}\n{}", usage, fmt::streamed(all));
        return 0;
    }
    check_numbers(given, words);
    words.csv.drop_first = given.contains("drop-first");
    words.pooled_test = given.contains("pooled-test");
    const SplitChoice split = choose_split(words);
    const std::size_t existing = shards_in(words.out).size();
    require(existing == 0 || given.contains("force"), "{} holds {} shards already: give --force to replace them, or another --out",
            words.out, existing);

    std::vector<std::string> notes;
    Source source = import_source(given, csv, words, split, notes);
    require(!words.pooled_test || source.common_test.rows == 0, "--pooled-test: the source has a common test set of its own");
    const Deal deal = deal_rows(source, split, words);
    source.name += fmt::format(", split {}, seed {}", words.split.empty() ? split.kind : words.split, words.seed);
    for (const auto& note : notes) fmt::print("{}\n", note);
    write_shards(source, deal, words);
    return 0;
}

}  // namespace silosum

#include "commands/bench.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <fmt/ostream.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/version.hpp"
#include "benchmark/phase_limits.hpp"
#include "benchmark/race.hpp"
#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "comm/nccl.hpp"
#include "comm/nodes.hpp"
#include "commands/bench_fit.hpp"
#include "commands/bench_table.hpp"
#include "commands/mpi_job.hpp"
#include "commands/output_file.hpp"
#include "commands/verb_options.hpp"
#include "config/device_choice.hpp"
#include "io/atomic_file.hpp"
#include "kernels/isa.hpp"

namespace silosum {

namespace po = boost::program_options;

namespace {

constexpr const char* usage =
    "Times aggregation over the ranks beside one MPI_Allreduce of float32 on the same buffers, all ways in turn.\n\n"
    "  mpirun -np 4 silosum bench --exchange exact,secure --sizes 1M:256M:x4 --json bench.json\n"
    "  srun --mpi=pmix silosum bench --silos 256 --dropouts 0.05\n\n";

struct Sweep {
    std::vector<std::string> exchanges;
    std::vector<std::uint64_t> rings;
    std::vector<std::size_t> parameters;
    std::vector<std::uint32_t> silos;
    std::vector<std::string> graphs;
    std::vector<double> dropouts;
    bool lacks_silos = false;  // for secure sums, which are left out
};

template <class Number>
Number number_in(const std::string& option, const std::string& text, double least, double most) {
    Number value{};
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool is_number = result.ec == std::errc() && result.ptr == text.data() + text.size();
    require(is_number && static_cast<double>(value) >= least && static_cast<double>(value) <= most,
            "{}: \"{}\" must be a number from {} to {}", option, text, least, most);
    return value;
}

// "16M" as bytes of float32, or "1663370p" as parameters.
std::size_t parameters_of(const std::string& option, const std::string& text) {
    const std::string suffixes = "KMG";
    const char last = text.empty() ? '\0' : text.back();
    const auto power = suffixes.find(last);
    const bool has_suffix = last == 'p' || power != std::string::npos;
    const std::string digits = has_suffix ? text.substr(0, text.size() - 1) : text;
    require(digits.find_first_not_of("0123456789") == std::string::npos,
            "{}: \"{}\" must be bytes of float32, as in 64M (K, M, G), or parameters, as in 25000000p", option, text);
    const auto number = number_in<std::uint64_t>(option, digits, 1, static_cast<double>(1ULL << 42));
    if (last == 'p') return number;
    const std::uint64_t bytes = power == std::string::npos ? number : number << (10 * (power + 1));
    require(bytes >= sizeof(float), "{}: {} bytes hold no float32", option, bytes);
    return bytes / sizeof(float);
}

// "1M:64M:x4" as 1M, 4M, 16M, 64M.
void add_sizes(const std::string& text, std::vector<std::size_t>& sizes) {
    const auto parts = split(text, ':');
    if (parts.size() == 1) return sizes.push_back(parameters_of("--sizes", text));
    require(parts.size() == 3 && parts[2].starts_with("x"), "--sizes: \"{}\" must be a size, or FROM:TO:xFACTOR such as 1M:64M:x4", text);
    const auto factor = number_in<std::uint64_t>("--sizes", parts[2].substr(1), 2, 1024);
    const std::size_t last = parameters_of("--sizes", parts[1]);
    std::size_t size = parameters_of("--sizes", parts[0]);
    require(size <= last, "--sizes: \"{}\" ends below where it begins", text);
    for (; size <= last; size *= factor) sizes.push_back(size);
}

class Bench {
public:
    Bench(const Communicator& world, const Sweep& sweep, const BenchmarkSetting& setting, const RaceRules& rules, std::string device,
          bool with_phases)
        : world_(world),
          load_(world),
          sweep_(sweep),
          setting_(setting),
          rules_(rules),
          device_(std::move(device)),
          with_phases_(with_phases) {}

    void run() {
        if (leads()) {
            fmt::print("silosum {}, {}; {}{}{}\n", version, kernels::to_string(kernels::best_isa()), load_.placement(),
                       setting_.ranks_per_node > 0 ? fmt::format("; taken as nodes of {} at most",
                                                                 counted(static_cast<std::size_t>(setting_.ranks_per_node), "rank"))
                                                   : "",
                       setting_.gpu ? "; our sums on GPUs: " + device_ : "");
        }
        if (with_phases_ && !setting_.gpu) {
            limits_ = measure_limits(world_, setting_.cipher);
            nodes_ = static_cast<int>(Nodes(world_, setting_.ranks_per_node).count());
            if (leads()) fmt::print("{}\n", text_of(*limits_, setting_.cipher));
        }
        if (with_phases_ && setting_.gpu && leads())
            fmt::print("phases have no limits here: those of this machine are not those of GPUs\n");
        if (leads()) {
            if (sweep_.lacks_silos) fmt::print("no secure sums: they need three silos or more; start more ranks or give --silos\n");
            print_head();
        }
        for (const std::size_t parameters : sweep_.parameters) {
            for (const std::uint32_t silos : sweep_.silos) {
                for (const auto& graph : sweep_.graphs) {
                    for (const double dropouts : sweep_.dropouts) {
                        setting_.parameters = parameters;
                        setting_.silos = silos;
                        setting_.graph = graph;
                        setting_.dropouts = dropouts;
                        measure();
                    }
                }
            }
        }
    }
    [[nodiscard]] nlohmann::json result() const {
        nlohmann::json json{{"format", "silosum-bench"},
                            {"version", 1},
                            {"program", version},
                            {"instructions", kernels::to_string(kernels::best_isa())},
                            {"sums_on", device_},
                            {"placement", load_.placement()},
                            {"lines", lines_}};
        if (limits_) json["limits"] = limits_->to_json();
        return json;
    }
    [[nodiscard]] bool has_wrong_words() const { return wrong_words_ > 0; }
    /// Why nothing of what was asked for was timed; "" where something was.
    [[nodiscard]] const std::string& why_nothing() const { return why_nothing_; }

private:
    [[nodiscard]] bool leads() const { return world_.rank() == 0; }

    void measure() {
        const std::uint64_t needed = bytes_of_race(setting_, world_.size(), sweep_.exchanges.size() * sweep_.rings.size());
        std::vector<std::uint64_t> there{load_.free_bytes_each()};
        all_reduce_min(world_, std::span<std::uint64_t>(there));
        std::vector<BenchmarkLine> lines;
        if (there[0] != 0 && needed > there[0]) {
            lines.push_back({.exchange = "-", .setting = setting_});
            lines.back().note = fmt::format("left out: needs some {} a rank, where {} are free; --part sums part by part",
                                            size_text(static_cast<double>(needed)), size_text(static_cast<double>(there[0])));
            lines.back().is_valid = false;
        } else {
            lines = race(world_, load_, sweep_.exchanges, sweep_.rings, setting_, rules_);
        }
        for (auto& line : lines) {
            if (limits_ && !line.phases.empty()) line.of_limit = shares_of(line);
            wrong_words_ += line.wrong_words;
            const bool is_asked_for = std::ranges::find(sweep_.exchanges, line.exchange) != sweep_.exchanges.end();
            has_timed_ = has_timed_ || (is_asked_for && line.repetitions > 0);
            lines_.push_back(line.to_json(world_.size()));
            if (leads()) print_line(line, world_.size(), with_phases_);
        }
        why_nothing_ = has_timed_ ? "" : lines.back().note;
        if (leads()) std::fflush(stdout);
    }

    // Ranks that are taken as several nodes share what the machine has.
    [[nodiscard]] std::map<std::string, double> shares_of(const BenchmarkLine& line) const {
        BenchmarkSetting part = line.setting;
        part.parameters = part.part_size();
        const bool is_secure = !line.graph.empty();
        const int cores = std::max(1, static_cast<int>(limits_->cores) / nodes_);
        const RoundShape shape = shape_of(part, line.ring_bits, is_secure, world_.size(), {.machines = nodes_, .cores = cores});
        return shares_of_limits(line.phases, shape, *limits_, static_cast<double>(line.setting.parts()));
    }

    const Communicator& world_;
    MachineLoad load_;
    Sweep sweep_;
    BenchmarkSetting setting_;
    RaceRules rules_;
    std::string device_;
    bool with_phases_;
    std::optional<MachineLimits> limits_;  // with phases
    int nodes_ = 1;
    nlohmann::json lines_ = nlohmann::json::array();
    std::uint64_t wrong_words_ = 0;
    bool has_timed_ = false;
    std::string why_nothing_;
};

struct Command {
    std::string exchanges, rings, sizes, part, silos, graphs, dropouts, cipher, integrity, transport, device, json, csv, fit;
    std::uint64_t chunk_kib = 0;
    int ranks_per_node = 0;
    RaceRules rules;
    po::options_description options{"Options"};

    Command() {
        std::string ways = "what to time, of";
        for (const auto& row : contestant_list()) ways += fmt::format(" {} ({});", row.name, row.help);
        ways.back() = '.';
        ways += " The first is always there; of the default, what ranks and device allow";
        const BenchmarkSetting setting;
        options.add_options()("exchange", po::value(&exchanges)->default_value("allreduce-kept,float,nccl-allreduce,exact,secure"),
                              ways.c_str())("ring", po::value(&rings)->default_value("32"), "bits of a word: 32, 64 or 32,64")(
            "sizes", po::value(&sizes)->default_value("1M:64M:x4"),
            "sizes of the vector in bytes of float32 (K, M, G) or parameters (25000000p), each alone or as FROM:TO:xFACTOR")(
            "part", po::value(&part), "sum vectors part by part, each part as a sum of its own in the memory of this size; default: whole")(
            "silos", po::value(&silos), "silos, in turn over the ranks; default: one a rank")(
            "graph", po::value(&graphs)->default_value("auto"), "who masks with whom in secure sums: auto, complete, harary")(
            "dropouts", po::value(&dropouts)->default_value("0"), "share of silos that leave secure sums before they enter")(
            "cipher", po::value(&cipher)->default_value(setting.cipher), "aes128-ctr or chacha20")(
            "integrity", po::value(&integrity)->default_value(setting.integrity), "none or tags")(
            "transport", po::value(&transport)->default_value(setting.transport), "auto, shared or messages")(
            "ranks-per-node", po::value(&ranks_per_node)->default_value(0),
            "more ranks of a machine are taken as several nodes, between which our sums send messages; 0: as many as there are")(
            "device", po::value(&device)->default_value("cpu"), "cpu, or cuda: our sums on GPUs over NCCL, one GPU for each rank")(
            "chunk-kib", po::value(&chunk_kib)->default_value(setting.chunk_kib), "KiB that a rank sends to all others in one step")(
            "repetitions", po::value(&rules.most_repetitions)->default_value(rules.most_repetitions),
            "the most repetitions; fewer where all medians are known to 3 %. In a pass of a fit four times as many, and six at least")(
            "seconds", po::value(&rules.seconds)->default_value(rules.seconds), "about how long to repeat one setting")(
            "phases", "show the phases of our sums, each also as a share of what this machine could do at most")(
            "json", po::value(&json), "file for the lines as JSON")("csv", po::value(&csv), "file for the lines as a table")(
            "fit", po::value(&fit),
            "file for the rates of this machine, which `silosum plan --fit` reads; times rounds of its own choice on 1, 2, 4, ... ranks, "
            "their longest vector of the largest of --sizes")("disturbed", "with --fit: take the CPU time of rounds that are not valid")(
            "help", "this text");
    }

    [[nodiscard]] Sweep sweep(int ranks, bool chose_exchanges) const {
        Sweep sweep;
        std::vector<std::string> known;
        for (const auto& row : contestant_list()) known.push_back(row.name);
        for (const auto& word : comma_list(exchanges)) {
            if (std::ranges::find(known, word) == known.end()) throw UsageError(unknown_name("--exchange", word, known));
            sweep.exchanges.push_back(word);
        }
        for (const auto& word : comma_list(rings)) {
            require(word == "32" || word == "64", "--ring: \"{}\" must be 32 or 64", word);
            sweep.rings.push_back(word == "32" ? 32 : 64);
        }
        for (const auto& word : comma_list(sizes)) add_sizes(word, sweep.parameters);
        for (const auto& word : comma_list(silos)) sweep.silos.push_back(number_in<std::uint32_t>("--silos", word, 1, 1 << 18));
        if (sweep.silos.empty()) sweep.silos.push_back(static_cast<std::uint32_t>(ranks));
        for (const auto& word : comma_list(graphs)) {
            one_of("--graph", word, {"auto", "complete", "harary"});
            sweep.graphs.push_back(word);
        }
        for (const auto& word : comma_list(dropouts)) sweep.dropouts.push_back(number_in<double>("--dropouts", word, 0, 0.9));
        require(rules.most_repetitions >= 1 && rules.most_repetitions <= 4096, "--repetitions {}: must be from 1 to 4096",
                rules.most_repetitions);
        for (const std::size_t parameters : sweep.parameters) {
            const std::uint64_t sums =
                (rules.most_repetitions + 1) * BenchmarkSetting{.parameters = parameters, .part = part_size()}.parts();
            require(sums <= most_sums,
                    "--part {}: makes {} sums of all parts and repetitions, at most {} can be told apart; give larger parts", part, sums,
                    most_sums);
        }
        one_of("--cipher", cipher, {"aes128-ctr", "chacha20"});
        one_of("--integrity", integrity, {"none", "tags"});
        one_of("--device", device, {"cpu", "cuda"});
        require(device == "cpu" || transport == "auto", "--transport {}: with --device cuda words travel by NCCL", transport);
        require(device == "cpu" || integrity == "none", "--integrity {}: does not go with --device cuda, whose words the host never has",
                integrity);
        one_of("--transport", transport, {"auto", "shared", "messages"});
        require(ranks_per_node >= 0, "--ranks-per-node {}: must be 0 or more", ranks_per_node);
        require(ranks_per_node == 0 || (device == "cpu" && transport != "messages"),
                "--ranks-per-node is for words in shared memory: leave out --device and --transport messages");
        require(chunk_kib >= 1 && chunk_kib <= 1 << 20, "--chunk-kib {}: must be from 1 to 1048576", chunk_kib);
        require(rules.seconds > 0 && rules.seconds <= 86400, "--seconds {}: must be above 0, and a day at most", rules.seconds);
        for (const auto& [list, option] : {std::pair(sweep.exchanges.empty(), "--exchange"), std::pair(sweep.rings.empty(), "--ring"),
                                           std::pair(sweep.parameters.empty(), "--sizes"), std::pair(sweep.graphs.empty(), "--graph"),
                                           std::pair(sweep.dropouts.empty(), "--dropouts")}) {
            require(!list, "{} names nothing", option);
        }
        const bool is_too_few = *std::ranges::min_element(sweep.silos) < 3;
        for (const auto& row : contestant_list()) {
            const bool lacks_silos = row.is_secure && is_too_few;
            const bool lacks_gpu = row.needs_gpu && device == "cpu";
            const auto found = std::ranges::find(sweep.exchanges, row.name);
            if (found == sweep.exchanges.end() || !(lacks_silos || lacks_gpu)) continue;
            require(!chose_exchanges || !lacks_silos,
                    "--exchange {}: a secure sum needs three silos or more; start more ranks or give --silos", row.name);
            require(!chose_exchanges || !lacks_gpu, "--exchange {}: is timed on GPUs; give --device cuda", row.name);
            sweep.lacks_silos = sweep.lacks_silos || lacks_silos;
            sweep.exchanges.erase(found);
        }
        return sweep;
    }

    /// Parameters of a part; 0: all.
    [[nodiscard]] std::size_t part_size() const { return part.empty() ? 0 : parameters_of("--part", part); }

private:
    static void one_of(const std::string& option, const std::string& word, const std::vector<std::string>& known) {
        if (std::ranges::find(known, word) == known.end()) throw UsageError(unknown_name(option, word, known));
    }
};

// The GPU of this rank, and its kind.
DeviceChoice gpu_of(const Communicator& world, const Threads& threads) {
    succeed_on_all(world, [] {
        const std::string why = why_no_gpu();
        require(why.empty(), "--device cuda: {}; or give --device cpu", why);
        require(Nccl::is_built(), "--device cuda: this build has no NCCL (see docs/gpu.md); or give --device cpu");
    });
    DeviceChoice choice = choose_device(world, "cuda", "float32", threads);
    succeed_on_all(world, [&] {
        require(!choice.is_shared, "--device cuda needs a GPU for each rank, but some ranks of a machine share one: start fewer");
    });
    return choice;
}

// They say how sums are masked.
void check_flags_of_secure(const po::variables_map& given, const Sweep& sweep) {
    const auto is_secure = [](const std::string& name) {
        return std::ranges::find(contestant_list(), name, [](const auto& row) { return row.name; })->is_secure;
    };
    if (sweep.lacks_silos || std::ranges::any_of(sweep.exchanges, is_secure)) return;
    for (const char* flag : {"graph", "dropouts", "cipher", "integrity"}) {
        const bool is_of_limits = flag == std::string("cipher") && given.contains("phases");
        require(is_of_limits || given[flag].defaulted(),
                "--{}: is of secure sums, and none is timed; add one to --exchange, or leave it out", flag);
    }
}

std::filesystem::path absolute(const std::string& file) {
    return std::filesystem::absolute(file).lexically_normal();
}

// A fit heeds these of the flags, and times rounds of its own choice.
void check_flags_of_fit(const po::variables_map& given) {
    std::set<std::string> heeded{"fit", "sizes", "repetitions", "seconds", "disturbed"};
    if (given["device"].as<std::string>() == "cpu") heeded.insert("device");
    std::string others;
    for (const auto& [name, value] : given) {
        if (!value.defaulted() && !heeded.contains(name)) others += fmt::format("{}--{}", others.empty() ? "" : ", ", name);
    }
    require(others.empty(), "--fit times rounds of its own choice, on the CPU, and writes all to its own file: leave out {}", others);
}

int bench(const Communicator& world, const Command& command, const po::variables_map& given) {
    const bool chose_exchanges = !given["exchange"].defaulted();
    const bool with_phases = given.contains("phases");
    const bool with_disturbed = given.contains("disturbed");
    BenchmarkSetting setting{.part = 0,
                             .cipher = command.cipher,
                             .integrity = command.integrity,
                             .transport = command.transport,
                             .ranks_per_node = command.ranks_per_node,
                             .chunk_kib = command.chunk_kib,
                             .most_repetitions = command.rules.most_repetitions};
    std::optional<Sweep> sweep;
    succeed_on_first(world, [&] {
        for (const auto& [flag, file] : {std::pair("json", command.json), {"csv", command.csv}, {"fit", command.fit}}) {
            require(!given.contains(flag) || !file.empty(), "--{} \"\": names no file", flag);
        }
        const bool has_both = !command.json.empty() && !command.csv.empty();
        require(!has_both || absolute(command.json) != absolute(command.csv), "--json and --csv both name {}: choose two files",
                command.json);
        if (!command.fit.empty()) check_flags_of_fit(given);
        require(!with_disturbed || !command.fit.empty(), "--disturbed goes with --fit only");
        require(command.ranks_per_node <= world.size(), "--ranks-per-node {}: there {} only; start more, or leave it out",
                command.ranks_per_node, world.size() == 1 ? "is 1 rank" : fmt::format("are {} ranks", world.size()));
        sweep = command.sweep(world.size(), chose_exchanges);
        check_flags_of_secure(given, *sweep);
        for (const auto& [flag, file] : {std::pair("--json", command.json), {"--csv", command.csv}, {"--fit", command.fit}}) {
            if (!file.empty()) check_output(flag, file, {});
        }
    });
    if (!sweep) sweep = command.sweep(world.size(), chose_exchanges);
    if (!command.fit.empty()) {
        return bench_fit(world, command.fit, command.rules, sizeof(float) * *std::ranges::max_element(sweep->parameters), with_disturbed);
    }
    setting.part = command.part_size();
    const Threads threads;
    std::string device = "cpu";
    if (command.device == "cuda") {
        const DeviceChoice choice = gpu_of(world, threads);
        setting.gpu = choice.stream;
        device = choice.kind;
    }
    Bench bench(world, *sweep, setting, command.rules, device, with_phases);
    bench.run();
    succeed_on_first(world, [&] {
        const auto result = bench.result();
        if (!command.json.empty()) write_file_atomically(command.json, result.dump(1) + "\n");
        if (!command.csv.empty()) write_file_atomically(command.csv, csv_of(result["lines"]));
        for (const auto& file : {command.json, command.csv}) {
            if (!file.empty()) fmt::print("{} written\n", file);
        }
    });
    succeed_on_first(world, [&] {
        require<RuntimeError>(!bench.has_wrong_words(),
                              "there are wrong words: this machine, its MPI, its NCCL or this program adds up wrongly");
        require<RuntimeError>(bench.why_nothing().empty(), "nothing that was asked for was timed: {}", bench.why_nothing());
    });
    return static_cast<int>(ExitCode::done);
}

}  // namespace

int run_bench(const std::vector<std::string>& arguments) {
    Command command;
    const po::variables_map given = read_verb_options(arguments, command.options);
    if (given.contains("help")) {
        fmt::print("{}{}", usage, fmt::streamed(command.options));
        return static_cast<int>(ExitCode::done);
    }
    return in_mpi_job(launch_of_this_process(), [&](const Communicator& world) { return bench(world, command, given); });
}

}  // namespace silosum

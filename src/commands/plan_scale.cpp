#include "commands/plan_scale.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ostream.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "benchmark/samples.hpp"
#include "benchmark/scale_model.hpp"
#include "benchmark/simulation.hpp"
#include "commands/verb_options.hpp"

namespace silosum {

namespace po = boost::program_options;

namespace {

constexpr const char* usage =
    "Foretells time and memory of a round of the exchange from the rates that `silosum bench --fit FILE` has found, without any rank.\n\n"
    "  silosum plan --fit fit.json --parameters 25000000 --silos 1000 --ranks 4096 --machines 64 --cores 64 --link 12.5G,2us --secure\n"
    "  silosum plan CONFIG --fit fit.json ...      parameters, silos and exchange from a configuration\n\n";

const std::vector<std::string> shared_flags{"--fit",      "--silos",   "--machines",   "--cores", "--link", "--scheme",
                                            "--simulate", "--train-s", "--straggling", "--seed",  "--leave"};

// Of the others those that say what a configuration says, and its keys for that.
const std::map<std::string, std::string> configured_flags{
    {"--parameters", "the model's"},         {"--secure", "--exchange.secure"},       {"--ring", "--exchange.ring_bits"},
    {"--graph", "--exchange.graph"},         {"--corrupt", "--exchange.corrupt"},     {"--dropouts", "--exchange.dropouts"},
    {"--tags", "--exchange.integrity tags"}, {"--transport", "--exchange.transport"}, {"--chunk-kib", "--exchange.chunk_kib"}};

// "12.5G,2us": bytes a second and seconds.
Link read_link(const std::string& text) {
    const auto parts = split(text, ',');
    Link link;
    char* end = nullptr;
    if (parts.size() == 2) {
        link.bytes_per_second = std::strtod(parts[0].c_str(), &end);
        const std::string unit = end;
        for (const auto& [name, factor] : {std::pair("M", 1e6), std::pair("G", 1e9)}) link.bytes_per_second *= unit == name ? factor : 1;
        const bool is_rate = unit == "M" || unit == "G";
        link.latency_s = 1e-6 * std::strtod(parts[1].c_str(), &end);
        if (is_rate && std::string(end) == "us" && link.bytes_per_second > 0 && link.latency_s >= 0) return link;
    }
    throw UsageError(fmt::format("--link \"{}\": must be bytes a second and the latency of a message, such as 12.5G,2us", text));
}

struct Fit {
    ScaleModel model;
    std::string doubts;  // in sentences; "" where there is none
};

std::string doubts_of(const nlohmann::json& json) {
    std::string doubts;
    if (json.value("with_disturbed", false)) {
        doubts +=
            "warning: the fit counts rounds that others disturbed, by their CPU time and without standing still (bench --disturbed)\n";
    }
    const std::size_t slow = json.value("slow_memory", std::vector<std::string>()).size();
    if (slow > 0)
        doubts += fmt::format("warning: {} of the fit never saw the memory at its fastest, and may have taken too long\n",
                              counted(slow, "round"));
    return doubts;
}

Fit read_fit(const std::string& file) {
    std::error_code ignored;
    require<DataError>(!std::filesystem::is_directory(file, ignored),
                       "--fit {} is a folder; `silosum bench --fit FILE` makes what is wanted", file);
    std::ifstream stream(file, std::ios::binary);
    require<DataError>(stream.good(), "cannot read {}; `silosum bench --fit FILE` makes one", file);
    const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    try {
        const auto json = nlohmann::json::parse(text);
        return {ScaleModel::from_json(json), doubts_of(json)};
    } catch (const nlohmann::json::parse_error& error) {
        throw DataError(fmt::format("{} is cut off at byte {}, or no JSON at all; make a fit anew with bench --fit", file, error.byte));
    } catch (const nlohmann::json::exception& error) {
        throw DataError(fmt::format("{} is damaged, or no fit ({}); make it anew with bench --fit", file, error.what()));
    } catch (const DataError& error) {
        throw DataError(fmt::format("{} cannot be used: {}", file, error.what()));
    }
}

struct Command {
    std::string fit, graph, transport, link, scheme;
    std::uint64_t parameters = 0, ring = 0, chunk_kib = 0, rounds = 0, seed = 0;
    std::uint32_t silos = 0;
    int ranks = 0, machines = 0, cores = 0;
    double corrupt = 0, dropouts = 0, leave = 0, train_s = 0, straggling = 0;
    po::options_description options{"Options"};

    Command() {
        options.add_options()("fit", po::value(&fit)->required(), "file of `silosum bench --fit`")(
            "parameters", po::value(&parameters)->required(), "of the model")("ranks", po::value(&ranks)->required(), "of the job")(
            "silos", po::value(&silos), "in turn over the ranks; default: one a rank")("machines", po::value(&machines)->default_value(1),
                                                                                       "with as many ranks each")(
            "cores", po::value(&cores), "of a machine that ranks can use; default: one a rank")(
            "link", po::value(&link), "between machines, bytes a second and latency, such as 12.5G,2us; needed where the fit has none")(
            "secure", "a sum under masks")("ring", po::value(&ring)->default_value(32), "bits of a word, 32 or 64")(
            "graph", po::value(&graph)->default_value("auto"), "who masks with whom: auto, complete, harary")(
            "corrupt", po::value(&corrupt)->default_value(0.05, "0.05"), "share of silos that may work together")(
            "dropouts", po::value(&dropouts)->default_value(0.05, "0.05"), "share of silos that may leave, for which the graph is planned")(
            "leave", po::value(&leave)->default_value(0), "share of silos that do leave before they enter")(
            "tags", "exchange.integrity = tags")("transport", po::value(&transport)->default_value("auto"), "auto or messages")(
            "chunk-kib", po::value(&chunk_kib)->default_value(2048), "as exchange.chunk_kib")(
            "scheme", po::value(&scheme)->default_value("two-level"),
            "how words travel: two-level, as this program does it; slices or ring, to compare")(
            "simulate", po::value(&rounds)->default_value(0), "play so many rounds through, silos that leave and train for unequal times")(
            "train-s", po::value(&train_s)->default_value(0), "mean seconds that a silo trains")(
            "straggling", po::value(&straggling)->default_value(0), "standard deviation of the logarithm of that time")(
            "seed", po::value(&seed)->default_value(1), "of the rounds that are played")("help", "this text");
    }

    [[nodiscard]] RoundShape shape(bool is_secure, bool has_tags) const {
        RoundShape shape;
        const std::map<std::string, Scheme> schemes{{"two-level", Scheme::two_level}, {"slices", Scheme::slices}, {"ring", Scheme::ring}};
        const auto found = schemes.find(scheme);
        if (found == schemes.end())
            throw UsageError(unknown_name("--scheme", scheme, std::vector<std::string>{"two-level", "slices", "ring"}));
        one_of("--graph", graph, {"auto", "complete", "harary"});
        one_of("--transport", transport, {"auto", "messages"});
        require(ring == 32 || ring == 64, "--ring {}: must be 32 or 64", ring);
        require(parameters >= 1 && parameters <= 1ULL << 40, "--parameters {}: must be from 1 to 2^40", parameters);
        require(ranks >= 1 && ranks <= 1 << 20, "--ranks {}: must be from 1 to 1048576", ranks);
        require(machines >= 1 && machines <= ranks && ranks % machines == 0, "--machines {}: must divide the {} ranks", machines, ranks);
        require(silos <= 1 << 18, "--silos {}: must be from 1 to 262144", silos);
        require(cores >= 0, "--cores {}: must be 1 or more", cores);
        require(link.empty() || machines > 1, "--link {}: is between machines, and --machines is 1; give more, or leave it out", link);
        require(chunk_kib >= 1 && chunk_kib <= 1 << 20, "--chunk-kib {}: must be from 1 to 1048576", chunk_kib);
        require(rounds <= 10000, "--simulate {}: must be at most 10000", rounds);
        for (const auto& [option, value] :
             {std::pair("--corrupt", corrupt), std::pair("--dropouts", dropouts), std::pair("--leave", leave)}) {
            require(value >= 0 && value <= 0.5, "{} {}: must be from 0 to 0.5", option, value);
        }
        require(train_s >= 0 && straggling >= 0 && straggling <= 3,
                "--train-s and --straggling must not be negative, nor --straggling above 3");
        shape.parameters = parameters;
        shape.ring_bits = ring;
        shape.ranks = ranks;
        shape.silos = silos == 0 ? static_cast<std::uint32_t>(ranks) : silos;
        shape.machines = machines;
        shape.cores = cores == 0 ? ranks / machines : cores;
        shape.is_secure = is_secure;
        shape.wants_tags = has_tags;
        shape.shares_memory = transport == "auto" && ranks > machines;
        shape.chunk_kib = chunk_kib;
        shape.scheme = found->second;
        if (is_secure) shape.plan = plan_of_silos(shape.silos, {.graph = graph, .corrupt = corrupt, .dropouts = dropouts});
        shape.leavers = is_secure ? static_cast<std::uint32_t>(leave * shape.silos) : 0;
        require(!is_secure || rounds > 0 || shape.members() >= shape.plan.least_members,
                "--leave {}: {} of {} silos are left, {} are needed for a sum; give less, or --simulate rounds", leave, shape.members(),
                shape.silos, shape.plan.least_members);
        return shape;
    }

private:
    static void one_of(const std::string& option, const std::string& word, const std::vector<std::string>& known) {
        if (std::ranges::find(known, word) == known.end()) throw UsageError(unknown_name(option, word, known));
    }
};

std::string time_text(double seconds) {
    if (seconds < 1e-3) return fmt::format("{:.3g} us", 1e6 * seconds);
    return seconds < 1 ? fmt::format("{:.3g} ms", 1e3 * seconds) : fmt::format("{:.4g} s", seconds);
}

void print_shape(const RoundShape& shape, bool has_cores) {
    fmt::print("\na round of {} parameters, {} on {} of {} with {} each{}{}\n", shape.parameters, counted(shape.silos, "silo"),
               counted(static_cast<std::size_t>(shape.ranks), "rank"), counted(static_cast<std::size_t>(shape.machines), "machine"),
               counted(static_cast<std::size_t>(shape.cores), "core"), has_cores ? "" : " (one a rank, as --cores is not given)",
               shape.is_secure ? ", under masks" : "");
    if (!shape.is_secure) return;
    fmt::print("each silo masks with {} others, {} shares open a mask; {} leave\n", shape.plan.neighbours, shape.plan.threshold,
               shape.leavers);
}

// Twice, and what is measured is no longer the same thing: caches, switches and the operating system are others.
constexpr double far = 8;

void print_distance(const Prediction& prediction) {
    std::string text;
    double most = 1;
    std::string farthest;
    bool is_above = true;
    for (const auto& [what, factor] : prediction.beyond) {
        const double distance = std::max(factor, 1 / factor);
        if (distance > 1.001)
            text += fmt::format("{}{:.3g}x the {} {}", text.empty() ? "" : ", ", factor, factor > 1 ? "most" : "fewest", what);
        if (distance > most || (distance == most && what == "ranks")) {
            most = distance;
            farthest = what;
            is_above = factor > 1;
        }
    }
    fmt::print("\n{}\n", text.empty() ? "within what was measured" : "beyond what was measured: " + text);
    if (most <= far) return;
    const std::map<std::string, std::string> better{{"parameters", "with larger --sizes"},
                                                    {"ranks", "on more ranks"},
                                                    {"silos", "on more ranks"},
                                                    {"cores", "on a machine of more cores"},
                                                    {"machines", "on more machines"}};
    fmt::print("warning: that is far; take it for an order of magnitude{} (docs/scale.md)\n",
               is_above ? ", or make a fit " + better.at(farthest) : "");
}

void print_prediction(const ScaleModel& model, const RoundShape& shape) {
    const Prediction prediction = model.predict(shape);
    fmt::print("\n{:<10}{:>12}{:>12}{:>12}\n", "phase", "foretold", "at least", "at most");
    for (const auto& [phase, time] : prediction.phases) {
        fmt::print("{:<10}{:>12}{:>12}{:>12}\n", phase, time_text(time.value), time_text(time.low), time_text(time.high));
    }
    const Interval& total = prediction.total;
    fmt::print("{:<10}{:>12}{:>12}{:>12}\n", "all", time_text(total.value), time_text(total.low), time_text(total.high));
    print_distance(prediction);
}

void print_memory(const RoundShape& shape) {
    fmt::print("\nmemory of a rank for the exchange\n");
    double sum = 0;
    for (const auto& [what, bytes] : memory_of(shape)) {
        fmt::print("  {:<32}{:>12}\n", what, size_text(bytes));
        sum += bytes;
    }
    fmt::print("  {:<32}{:>12}\n", "total", size_text(sum));
}

void print_simulation(const ScaleModel& model, const SimulationSetting& setting, std::uint64_t rounds) {
    std::vector<double> train, waiting, sum;
    std::uint64_t refused = 0;
    std::string refusal;
    for (std::uint32_t round = 1; round <= rounds; ++round) {
        const SimulatedRound played = simulate_round(model, setting, round);
        train.push_back(played.train_s);
        waiting.push_back(played.waiting_s);
        if (played.refusal.empty()) {
            sum.push_back(played.sum_s);
        } else {
            ++refused;
            refusal = played.refusal;
        }
    }
    fmt::print("\n{} played, {} without a sum{}\n\n{:<34}{:>12}{:>12}{:>12}\n", counted(rounds, "round"), refused,
               refused > 0 ? ": " + refusal : "", "", "least", "median", "most");
    for (const auto& [name, times] :
         {std::pair("until all have trained", train), std::pair("of which the mean rank waits", waiting), std::pair("the sum", sum)}) {
        if (times.empty()) continue;
        fmt::print("{:<34}{:>12}{:>12}{:>12}\n", name, time_text(quantile(times, 1e-9)), time_text(quantile(times, 0.5)),
                   time_text(quantile(times, 1)));
    }
}

// Flags that say how a round is played, or masked, where none is.
void check_heeded(const po::variables_map& given, bool is_configured) {
    const auto refuse = [&](const std::vector<const char*>& names, const std::string& without) {
        for (const char* name : names) {
            const bool is_given = given.contains(name) && !given[name].defaulted();
            require(!is_given, "--{}: does nothing without {}; add that, or leave it out", name, without);
        }
    };
    const bool is_played = given["simulate"].as<std::uint64_t>() > 0;
    const bool is_secure = given.contains("secure");
    if (!is_played) refuse({"train-s", "straggling", "seed"}, "--simulate");
    if (!is_secure && !is_configured) refuse({"tags", "graph", "corrupt", "dropouts"}, "--secure");
    if (!is_secure && !is_played) refuse({"leave"}, "--secure or --simulate");
}

}  // namespace

std::vector<std::string> take_scale_flags(std::vector<std::string>& flags) {
    std::vector<std::string> taken;
    std::vector<std::string> left;
    bool has_fit = false;
    std::string configured;
    for (std::size_t i = 0; i < flags.size(); ++i) {
        const std::string name = flags[i].substr(0, flags[i].find('='));
        if (std::ranges::find(shared_flags, name) == shared_flags.end()) {
            const auto found = configured_flags.find(name);
            if (found != configured_flags.end()) {
                configured += fmt::format("{}{} ({})", configured.empty() ? "" : ", ", name, found->second);
            }
            left.push_back(flags[i]);
            continue;
        }
        has_fit = has_fit || name == "--fit";
        taken.push_back(flags[i]);
        if (name != flags[i]) continue;
        require(i + 1 < flags.size() && !flags[i + 1].starts_with("--"), "{} needs a value", name);
        taken.push_back(flags[++i]);
    }
    require(has_fit || taken.empty(), "{} goes with --fit FILE, which `silosum bench --fit` makes", taken.empty() ? "" : taken.front());
    require(!has_fit || configured.empty(), "{}: of a round of a configuration, that says it; give its keys, or leave these out",
            configured);
    flags = left;
    return taken;
}

int plan_scale(const std::vector<std::string>& arguments, const ConfiguredRound* configured) {
    Command command;
    const po::variables_map given = read_verb_options(arguments, command.options);
    if (given.contains("help")) {
        fmt::print("{}{}", usage, fmt::streamed(command.options));
        return static_cast<int>(ExitCode::done);
    }
    check_heeded(given, configured != nullptr);
    auto [model, doubts] = read_fit(command.fit);
    if (!command.link.empty()) model = model.with_link(read_link(command.link));
    RoundShape shape = command.shape(given.contains("secure"), given.contains("tags"));
    shape.hosts_several = configured != nullptr && configured->hosts_several;
    shape.cached_bytes = model.cached_bytes();
    const std::string problem = model.problem_with(shape);
    require(problem.empty(), "{}", problem);
    print_shape(shape, command.cores > 0);
    print_prediction(model, shape);
    fmt::print("{}", doubts);
    if (configured == nullptr || !configured->has_shown_memory) print_memory(shape);
    if (command.rounds > 0) {
        const SimulationSetting setting{
            .shape = shape, .dropouts = command.leave, .train_s = command.train_s, .straggling = command.straggling, .seed = command.seed};
        print_simulation(model, setting, command.rounds);
    }
    return static_cast<int>(ExitCode::done);
}

}  // namespace silosum

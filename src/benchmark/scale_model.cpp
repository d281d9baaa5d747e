#include "benchmark/scale_model.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/version.hpp"
#include "benchmark/least_squares.hpp"

namespace silosum {

namespace {

constexpr int fit_version = 4;

// Seconds of a phase for a rate of 1, kind by kind.
Work shares_of(const Work& work, const std::string& phase, const RoundShape& shape) {
    // Where no rank shares its core, all wait for the one with most silos.
    const bool has_cores = shape.ranks_a_machine() <= shape.cores;
    const double uneven = has_cores ? static_cast<double>(shape.silos_of_busiest()) * shape.ranks / shape.silos : 1;
    Work shares{};
    for (const auto& row : kind_list()) {
        const auto kind = static_cast<std::size_t>(row.kind);
        const double most = is_of_silos(phase, row.kind, shape) ? uneven : 1;
        shares[kind] = work[kind] * (row.is_shared ? most / shape.cores_in_use() : 1);
    }
    return shares;
}

std::map<std::string, double> scales_of(const RoundShape& shape) {
    return {{"ranks", shape.ranks},
            {"silos", shape.silos},
            {"parameters", static_cast<double>(shape.parameters)},
            {"machines", shape.machines},
            {"cores", shape.cores_in_use()}};
}

void widen(Ranges& ranges, const std::string& what, double value) {
    auto& range = ranges.try_emplace(what, std::array{value, value}).first->second;
    range = {std::min(range[0], value), std::max(range[1], value)};
}

// Two standard deviations more, or as many times less: far from what was measured nothing is known but the order of magnitude.
Interval interval(double value, double deviation) {
    const double most = value + 2 * deviation;
    return {value, most > 0 ? value * value / most : 0, most};
}

double quadratic(const std::vector<std::vector<double>>& covariance, const Work& x) {
    double sum = 0;
    for (std::size_t i = 0; i < kinds; ++i) {
        for (std::size_t k = 0; k < kinds; ++k) sum += x[i] * covariance[i][k] * x[k];
    }
    return std::max(0.0, sum);
}

}  // namespace

ScaleModel ScaleModel::fit(const std::vector<MeasuredRound>& rounds) {
    require(rounds.size() >= 3, "{} rounds are too few to fit anything; at least 3 valid ones are needed", rounds.size());
    std::vector<std::vector<double>> rows;
    std::vector<double> wanted;
    ScaleModel model;
    model.cached_bytes_ = rounds.front().shape.cached_bytes;
    for (const MeasuredRound& round : rounds) {
        for (const auto& [what, value] : scales_of(round.shape)) widen(model.ranges_, what, value);
    }
    // Whether a core waits for memory by itself or for the others shows only where both are there.
    const bool knows_bus = model.ranges_.at("cores")[0] < model.ranges_.at("cores")[1];
    for (const MeasuredRound& round : rounds) {
        std::map<std::string, double> seconds = round.phases;
        double busy = 0;
        for (const auto& [phase, time] : round.phases) busy += time;
        seconds["idle"] = std::max(0.0, round.seconds - busy);
        const auto work = work_of(round.shape);
        for (const auto& [phase, of_phase] : work) {
            const Work shares = shares_of(of_phase, phase, round.shape);
            std::vector<double> row(kinds);
            for (std::size_t kind = 0; kind < kinds; ++kind) {
                if (kind == static_cast<std::size_t>(Kind::bus) && !knows_bus) continue;
                row[kind] = shares[kind] / round.seconds;
                model.is_measured_[kind] = model.is_measured_[kind] || row[kind] > 0;
            }
            rows.push_back(std::move(row));
            const auto found = seconds.find(phase);
            wanted.push_back((found == seconds.end() ? 0 : found->second) / round.seconds);
        }
    }
    const NonNegativeFit found = fit_non_negative(rows, wanted);
    std::ranges::copy(found.values, model.rates_.begin());
    double squares = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        double left = wanted[i];
        for (std::size_t kind = 0; kind < kinds; ++kind) left -= rows[i][kind] * found.values[kind];
        squares += left * left;
    }
    const double variance = squares / static_cast<double>(std::max<std::size_t>(1, rows.size() - std::min(rows.size() - 1, kinds)));
    model.covariance_ = found.covariance;
    for (auto& row : model.covariance_) {
        for (double& value : row) value *= variance;
    }
    squares = 0;
    for (const MeasuredRound& round : rounds) {
        const double error = model.predict(round.shape).total.value / round.seconds - 1;
        squares += error * error;
    }
    model.spread_ = std::sqrt(squares / static_cast<double>(rounds.size()));
    return model;
}

std::vector<HeldOut> ScaleModel::hold_out(const std::vector<MeasuredRound>& rounds) {
    int most = 0;
    for (const auto& round : rounds) most = std::max(most, round.shape.ranks);
    std::vector<MeasuredRound> fewer;
    for (const auto& round : rounds) {
        if (round.shape.ranks < most) fewer.push_back(round);
    }
    std::vector<HeldOut> held_out;
    if (fewer.size() < 3) return held_out;
    const ScaleModel model = fit(fewer);
    for (const auto& round : rounds) {
        if (round.shape.ranks == most && model.problem_with(round.shape).empty())
            held_out.push_back({round.name, round.seconds, model.predict(round.shape).total.value});
    }
    return held_out;
}

double root_mean_square(const std::vector<HeldOut>& rounds) {
    double squares = 0;
    for (const auto& round : rounds) squares += round.error() * round.error();
    return rounds.empty() ? 0 : std::sqrt(squares / static_cast<double>(rounds.size()));
}

std::map<std::string, double> ScaleModel::beyond(const RoundShape& shape) const {
    std::map<std::string, double> factors;
    for (const auto& [what, value] : scales_of(shape)) {
        const auto range = ranges_.find(what);
        if (range == ranges_.end()) continue;
        const auto [least, most] = range->second;
        factors[what] = value > most ? value / most : value < least ? value / least : 1;
    }
    return factors;
}

std::string ScaleModel::problem_with(const RoundShape& shape) const {
    for (const auto& [phase, work] : work_of(shape)) {
        for (const auto& row : kind_list()) {
            if (work[static_cast<std::size_t>(row.kind)] == 0 || has_measured(row.kind)) continue;
            if (row.kind == Kind::link_bytes || row.kind == Kind::link_hop) {
                return fmt::format(
                    "{} machines: the fit was made on one, and knows no link between machines; say what it is, as in --link 12.5G,2us",
                    shape.machines);
            }
            if (row.kind == Kind::bus) {
                if (shape.cores_in_use() == ranges_.at("cores")[0]) continue;
                return fmt::format(
                    "the fit was made with {:.0f} cores of a machine at work, and does not know what {:.0f} cores take from each other; "
                    "make one on more ranks, of which one times alone too",
                    ranges_.at("cores")[0], shape.cores_in_use());
            }
            if (row.kind == Kind::memory) {
                return fmt::format(
                    "the fit has measured only rounds whose vectors the caches ({}) hold all together, and knows nothing of memory; "
                    "make one with --sizes {:.0f}M or larger",
                    size_text(cached_bytes_), std::ceil(cached_bytes_ / (1 << 20)));
            }
            return fmt::format("the fit has not measured {} ({}), which the phase {} of this round needs; make one on more ranks", row.name,
                               row.help, phase);
        }
    }
    return "";
}

Prediction ScaleModel::predict(const RoundShape& shape) const {
    const std::string problem = problem_with(shape);
    require(problem.empty(), "{}", problem);
    Prediction prediction;
    prediction.beyond = beyond(shape);
    double doublings = 0;
    for (const auto& [what, factor] : prediction.beyond) doublings += what == "machines" ? 0 : std::abs(std::log2(factor));
    const double unsure = std::hypot(spread_, doubling_ * doublings);
    Work all{};
    double total = 0;
    for (const auto& [phase, work] : work_of(shape)) {
        const Work shares = shares_of(work, phase, shape);
        double seconds = 0;
        for (std::size_t kind = 0; kind < kinds; ++kind) {
            seconds += shares[kind] * rates_[kind];
            all[kind] += shares[kind];
        }
        prediction.phases[phase] = interval(seconds, std::hypot(std::sqrt(quadratic(covariance_, shares)), unsure * seconds));
        total += seconds;
    }
    prediction.total = interval(total, std::hypot(std::sqrt(quadratic(covariance_, all)), unsure * total));
    return prediction;
}

Interval ScaleModel::rate(Kind kind) const {
    const auto k = static_cast<std::size_t>(kind);
    return interval(rates_[k], std::sqrt(covariance_[k][k]));
}

ScaleModel ScaleModel::with_link(const Link& link) const {
    ScaleModel model = *this;
    for (const auto& [kind, seconds] :
         {std::pair(Kind::link_bytes, 1 / link.bytes_per_second), std::pair(Kind::link_hop, link.latency_s)}) {
        const auto k = static_cast<std::size_t>(kind);
        model.rates_[k] = seconds;
        model.is_measured_[k] = true;
        for (std::size_t other = 0; other < kinds; ++other) model.covariance_[k][other] = model.covariance_[other][k] = 0;
    }
    return model;
}

nlohmann::json ScaleModel::to_json() const {
    nlohmann::json json{{"format", "silosum-fit"}, {"version", fit_version}, {"program", version},        {"spread", spread_},
                        {"doubling", doubling_},   {"ranges", ranges_},      {"covariance", covariance_}, {"cached_bytes", cached_bytes_}};
    for (const auto& row : kind_list()) {
        const Interval seconds = rate(row.kind);
        json["rates"].push_back({{"name", row.name},
                                 {"unit", row.unit},
                                 {"what", row.help},
                                 {"measured", has_measured(row.kind)},
                                 {"seconds", seconds.value},
                                 {"low", seconds.low},
                                 {"high", seconds.high}});
    }
    return json;
}

ScaleModel ScaleModel::from_json(const nlohmann::json& json) {
    ScaleModel model;
    try {
        require<DataError>(json.at("format") == "silosum-fit", "its format is not silosum-fit");
        require<DataError>(json.at("version") == fit_version, "it is of version {}, this program reads {}; make it anew with bench --fit",
                           json.at("version").dump(), fit_version);
        require<DataError>(json.at("rates").size() == kind_list().size(), "it has {} rates, not {}; make it anew with bench --fit",
                           json.at("rates").size(), kind_list().size());
        for (const auto& rate : json.at("rates")) {
            const auto row = std::ranges::find(kind_list(), rate.at("name").get<std::string>(), [](const KindRow& r) { return r.name; });
            require<DataError>(row != kind_list().end(), "it has a rate {} that this program does not know", rate.at("name").dump());
            const auto kind = static_cast<std::size_t>(row->kind);
            model.rates_[kind] = rate.at("seconds").get<double>();
            model.is_measured_[kind] = rate.at("measured").get<bool>();
            require<DataError>(model.rates_[kind] >= 0, "its rate \"{}\" is negative", row->name);
        }
        model.covariance_ = json.at("covariance").get<std::vector<std::vector<double>>>();
        const bool is_square = model.covariance_.size() == kinds &&
                               std::ranges::all_of(model.covariance_, [](const auto& of_kind) { return of_kind.size() == kinds; });
        require<DataError>(is_square, "its covariance is not of {} rates", kinds);
        model.spread_ = json.at("spread").get<double>();
        model.doubling_ = json.at("doubling").get<double>();
        model.cached_bytes_ = json.at("cached_bytes").get<double>();
        model.ranges_ = json.at("ranges").get<Ranges>();
        for (const auto& [what, value] : scales_of({})) {
            require<DataError>(model.ranges_.contains(what), "its ranges have no \"{}\"; make it anew with bench --fit", what);
        }
    } catch (const nlohmann::json::exception& error) {
        throw DataError(fmt::format("it is damaged, or no fit ({}); make it anew with bench --fit", error.what()));
    }
    return model;
}

}  // namespace silosum

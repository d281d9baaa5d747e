#include "observe/bench_charts.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <set>

#include <fmt/format.h>

#include "base/text.hpp"
#include "observe/html.hpp"
#include "observe/plot.hpp"
#include "observe/report_charts.hpp"

namespace silosum {

namespace {

// A point as a part of curves: those of one name are one curve.
struct Named {
    std::string name;
    const BenchPoint* point;
    const BenchPoint* plain;  // of a secure sum: the plain one that was timed in turn with it, or null
};

// What may differ between points that are one way of adding up otherwise, beside their silos.
const std::vector<std::function<std::string(const BenchPoint&)>>& aspects() {
    static const std::vector<std::function<std::string(const BenchPoint&)>> list{
        [](const BenchPoint& p) { return fmt::format("{:.0f} % leave", 100 * p.dropouts); },
        [](const BenchPoint& p) { return p.graph.substr(0, p.graph.find(',')); },
        [](const BenchPoint& p) { return fmt::format("chunks of {:.0f} KiB", p.chunk_kib); },
        [](const BenchPoint& p) { return p.part_parameters == 0 ? "" : fmt::format("parts of {}B", short_bytes(4 * p.part_parameters)); },
        [](const BenchPoint& p) { return p.cipher; },
        [](const BenchPoint& p) { return p.integrity == "none" ? "" : p.integrity; },
    };
    return list;
}

// Gives curves names that tell them apart, and no more.
class Names {
public:
    explicit Names(const std::vector<BenchRecord>& records) {
        for (const auto& record : records) {
            for (const BenchPoint& point : record.points) ranks_of_silos_[point.silos].insert(point.ranks);
        }
        for (const auto& aspect : aspects()) {
            std::map<std::string, std::set<std::string>> values;  // by way
            for (const auto& record : records) {
                for (const BenchPoint& point : record.points) values[way_of(point)].insert(aspect(point));
            }
            varies_.push_back(std::any_of(values.begin(), values.end(), [](const auto& way) { return way.second.size() > 1; }));
        }
        std::map<std::string, std::size_t> first_of;  // the record that has a curve's point at this place first
        for (std::size_t i = 0; i < records.size(); ++i) {
            for (const BenchPoint& point : records[i].points) {
                if (point.ring_bits == 0) continue;
                const auto place = fmt::format("{} {} {}", name_of("", point), point.ranks, point.bytes);
                with_files_ = with_files_ || first_of.try_emplace(place, i).first->second != i;
            }
        }
    }
    [[nodiscard]] std::string name_of(const std::string& file, const BenchPoint& point) const {
        std::vector<std::string> words{way_of(point)};
        // They are nothing to what has no ring: it adds up the ranks' vectors.
        if (point.ring_bits > 0) {
            words.push_back(silos_of(point));
            for (std::size_t i = 0; i < varies_.size(); ++i) words.push_back(varies_[i] ? aspects()[i](point) : "");
            std::erase(words, "");
        }
        if (with_files_) words.push_back(file);
        return join(words, ", ");
    }

private:
    static std::string way_of(const BenchPoint& point) {
        return point.ring_bits == 0 ? point.exchange : fmt::format("{} {:.0f}", point.exchange, point.ring_bits);
    }
    // A number of silos is a curve where it was tried on several numbers of ranks; else a silo a rank is one.
    [[nodiscard]] std::string silos_of(const BenchPoint& point) const {
        const bool is_one_a_rank = point.silos == point.ranks && ranks_of_silos_.at(point.silos).size() == 1;
        return ranks_of_silos_.size() == 1 || is_one_a_rank ? "" : fmt::format("{:.0f} silos", point.silos);
    }
    std::map<double, std::set<double>> ranks_of_silos_;
    std::vector<bool> varies_;
    bool with_files_ = false;
};

std::vector<Named> named_points(const std::vector<BenchRecord>& records) {
    const Names names(records);
    std::vector<Named> all;
    for (const auto& record : records) {
        std::map<double, const BenchPoint*> plain;  // the last one timed, by ring
        for (const BenchPoint& point : record.points) {
            if (point.repetitions == 0) continue;
            if (point.exchange == "exact") plain[point.ring_bits] = &point;
            const BenchPoint* beside = point.exchange == "secure" ? plain[point.ring_bits] : nullptr;
            if (beside != nullptr && (beside->bytes != point.bytes || beside->silos != point.silos)) beside = nullptr;
            all.push_back({names.name_of(record.name, point), &point, beside});
        }
    }
    return all;
}

// The curves' names in the order in which they first come: the place is the style.
std::vector<std::string> curves_of(const std::vector<Named>& points) {
    std::vector<std::string> curves;
    for (const Named& named : points) {
        if (std::find(curves.begin(), curves.end(), named.name) == curves.end()) curves.push_back(named.name);
    }
    return curves;
}

// Along what charts are drawn, and at which value of the other.
struct Along {
    std::string title;  // of the charts: "by size, 4 ranks"
    plot::Axis axis;
    double BenchPoint::*x;
    std::string (*text)(double);  // "4 ranks"
    std::vector<Named> points;
};

double nothing() {
    return std::numeric_limits<double>::quiet_NaN();
}

struct Curves {
    const char* title;
    const char* note;
    plot::Axis y;
    std::function<double(const Named&)> value;
};

const std::vector<Curves>& curves() {
    static const std::vector<Curves> list{
        {"Time",
         "The middle repetition, by its slowest rank.",
         {.title = "time", .unit = "s", .log = true},
         [](const Named& n) { return n.point->median_s; }},
        {"Bandwidth",
         "Bytes of the vector over the time.",
         {.title = "algorithm bandwidth", .unit = "B/s", .log = true},
         [](const Named& n) { return n.point->algorithm_bandwidth; }},
        {"Ratio to MPI_Allreduce",
         "Time over that of MPI_Allreduce of float32 on the same vector, timed in turn with it; below 1 is faster.",
         {.title = "times the time of MPI_Allreduce", .log = true},
         [](const Named& n) { return n.point->of_allreduce; }},
        {"Secure over plain",
         "Time of the secure sum over that of the exact one beside it: what masks cost.",
         {.title = "times the time of the exact sum", .log = true},
         [](const Named& n) { return n.plain == nullptr ? nothing() : n.point->median_s / n.plain->median_s; }},
        {"Memory",
         "What it takes beside the vector that is given and the one that is returned, on the rank where it is most.",
         {.title = "extra memory", .unit = "B", .log = true},
         [](const Named& n) { return n.point->extra_bytes; }},
    };
    return list;
}

std::string line_chart(const Along& along, const Curves& what, const std::vector<std::string>& names) {
    plot::LineChart chart{
        .title = fmt::format("{} {}", what.title, along.title), .note = what.note, .x = along.axis, .y = what.y, .bands = {}, .lines = {}};
    bool is_doubtful = false;
    double low = std::numeric_limits<double>::infinity(), high = 0;
    for (std::size_t style = 0; style < names.size(); ++style) {
        plot::Line line{.name = names[style], .points = {}, .style = style};
        std::set<double> seen;
        for (const Named& named : along.points) {
            const double value = named.name == names[style] ? what.value(named) : nothing();
            // What has no ring is timed once more for every setting of the others.
            if (!(value > 0) || (named.point->ring_bits == 0 && seen.contains(named.point->*along.x))) continue;
            seen.insert(named.point->*along.x);
            line.points.push_back({named.point->*along.x, value, !named.point->is_valid});
            is_doubtful = is_doubtful || !named.point->is_valid;
            low = std::min(low, value);
            high = std::max(high, value);
        }
        std::stable_sort(line.points.begin(), line.points.end(), [](const auto& a, const auto& b) { return a.x < b.x; });
        if (!line.points.empty()) chart.lines.push_back(std::move(line));
    }
    if (chart.lines.empty()) return "";
    const bool is_ratio = what.y.unit.empty();
    if (is_ratio && high < 10 * low) {
        chart.y.log = false;
        chart.y.from_zero = true;
    }
    if (is_doubtful) chart.note += " Hollow dots are of lines that are not valid.";
    return plot::draw(chart);
}

// A bar for each point that has phases.
std::string phase_chart(plot::StackedChart chart, const std::vector<const BenchPoint*>& bars, bool as_shares) {
    std::set<std::string> there;
    for (const BenchPoint* point : bars) {
        for (const auto& [phase, seconds] : point->phases) there.insert(phase);
    }
    std::vector<std::string> phases(there.begin(), there.end());
    std::stable_sort(phases.begin(), phases.end(), [](const auto& a, const auto& b) { return place_of_phase(a) < place_of_phase(b); });
    for (const auto& phase : phases) {
        plot::StackedChart::Layer layer{.name = phase, .heights = {}, .style = place_of_phase(phase)};
        for (const BenchPoint* point : bars) {
            double all = 0;
            for (const auto& [name, seconds] : point->phases) all += seconds;
            const auto found = point->phases.find(phase);
            const double seconds = found == point->phases.end() ? 0 : found->second;
            layer.heights.push_back(!as_shares ? seconds : all > 0 ? 100 * seconds / all : 0);
        }
        chart.layers.push_back(std::move(layer));
    }
    return plot::draw(chart);
}

std::string label_of(const Along& along, double x) {
    for (const auto& mark : along.axis.marks) {
        if (mark.value == x) return mark.label;
    }
    return fmt::format("{:.4g}", x);
}

// Shares of each way along x, and seconds of all ways side by side at the largest x.
std::string phase_charts(const Along& along, const std::vector<std::string>& names) {
    const double last = along.axis.marks.back().value;
    plot::StackedChart all{.title = "Phases at " + along.text(last) + along.title.substr(along.title.find(',')),
                           .note = "CPU time of all ranks over the cores in use.",
                           .x = {.title = "way"},
                           .y = {.title = "CPU time", .unit = "s", .from_zero = true},
                           .edges = {},
                           .labels = {},
                           .layers = {}};
    std::vector<const BenchPoint*> bars_of_all;
    std::string shares;
    for (const auto& name : names) {
        std::map<double, const BenchPoint*> bars;
        for (const Named& named : along.points) {
            if (named.name == name && !named.point->phases.empty()) bars.try_emplace(named.point->*along.x, named.point);
        }
        if (bars.empty()) continue;
        if (const auto found = bars.find(last); found != bars.end()) {
            all.labels.push_back(name);
            bars_of_all.push_back(found->second);
        }
        plot::StackedChart chart{.title = fmt::format("Phases of {} {}", name, along.title),
                                 .note = "Shares of the CPU time of all ranks.",
                                 .x = {.title = along.axis.title, .unit = along.axis.unit},
                                 .y = {.title = "share in %", .from_zero = true, .ceiling = 100},
                                 .edges = {},
                                 .labels = {},
                                 .layers = {}};
        std::vector<const BenchPoint*> points;
        for (const auto& [x, point] : bars) {
            chart.labels.push_back(label_of(along, x));
            points.push_back(point);
        }
        shares += phase_chart(std::move(chart), points, true);
    }
    return bars_of_all.empty() ? shares : phase_chart(std::move(all), bars_of_all, false) + shares;
}

std::string charts_along(const Along& along, const std::vector<std::string>& names) {
    std::string html = "<div class=\"charts\">\n";
    for (const Curves& what : curves()) html += line_chart(along, what, names);
    return html + phase_charts(along, names) + "</div>\n";
}

std::string text_of_ranks(double ranks) {
    return counted(static_cast<std::size_t>(ranks), "rank");
}
std::string text_of_size(double bytes) {
    return short_bytes(bytes) + "B";
}

struct Direction {
    const char* heading;
    double BenchPoint::*x;
    double BenchPoint::*fixed;
    const char* title;
    const char* unit;
    std::string (*label)(double);
    std::string (*text)(double);
    std::string (*fixed_text)(double);
};

std::set<double> values_of(const std::vector<Named>& points, double BenchPoint::*what) {
    std::set<double> values;
    for (const Named& named : points) values.insert(named.point->*what);
    return values;
}

// A block of charts for every value of what does not change along them, the largest first.
std::string charts_of(const Direction& direction, const std::vector<Named>& points, const std::vector<std::string>& names) {
    std::string html;
    const auto fixed = values_of(points, direction.fixed);
    for (auto value = fixed.rbegin(); value != fixed.rend(); ++value) {
        Along along{.title = fmt::format("by {}, {}", direction.title, direction.fixed_text(*value)),
                    .axis = {.title = direction.title, .unit = direction.unit, .log = true},
                    .x = direction.x,
                    .text = direction.text,
                    .points = {}};
        std::copy_if(points.begin(), points.end(), std::back_inserter(along.points),
                     [&](const Named& named) { return named.point->*direction.fixed == *value; });
        const auto xs = values_of(along.points, direction.x);
        if (xs.size() < 2) continue;
        for (const double x : xs) along.axis.marks.push_back({x, direction.label(x)});
        const std::string charts = charts_along(along, names);
        html += html.empty() ? charts : html::folded(fmt::format("{}: {}", direction.heading, direction.fixed_text(*value)), charts);
    }
    return html.empty() ? "" : fmt::format("<h2>{}</h2>\n", direction.heading) + html;
}

}  // namespace

std::string short_bytes(double bytes) {
    static constexpr std::array units{"", "Ki", "Mi", "Gi", "Ti"};
    std::size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < units.size()) {
        bytes /= 1024;
        ++unit;
    }
    return fmt::format("{:.3g} {}", bytes, units[unit]);
}

std::string bench_charts(const std::vector<BenchRecord>& records) {
    static const std::vector<Direction> directions{
        {"By ranks", &BenchPoint::ranks, &BenchPoint::bytes, "ranks", "", [](double x) { return fmt::format("{:.0f}", x); }, text_of_ranks,
         text_of_size},
        {"By size", &BenchPoint::bytes, &BenchPoint::ranks, "size", "B", short_bytes, text_of_size, text_of_ranks},
    };
    const auto points = named_points(records);
    const auto names = curves_of(points);
    std::string html;
    for (const Direction& direction : directions) html += charts_of(direction, points, names);
    return html.empty() ? html : plot::definitions() + html;
}

}  // namespace silosum

#include "observe/plot.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <optional>
#include <span>

#include <fmt/format.h>

#include "observe/html.hpp"

namespace silosum::plot {

namespace {

using html::escape;

// In units of the view box: the browser scales it to the width that it has.
constexpr double width = 500, height = 250;
constexpr double left = 68, right = width - 14, top = 28, bottom = height - 40;
constexpr std::size_t colours = 7;
constexpr std::size_t dashes = 4;  // no divisor in common with the colours: 28 pairs
constexpr std::size_t most_dots = 30;
// Of text of 12 units, on average and generously.
constexpr double letter_width = 6.6;

std::string line_class(std::size_t style) {
    return fmt::format("s{} d{}", style % colours, style % dashes);
}

// Layers of the same colour differ in hatching.
std::string layer_fill(std::size_t style) {
    return style < colours ? "" : fmt::format(" style=\"fill:url(#hatch{})\"", style % colours);
}

// The least and the largest of the values that an axis can show.
struct Extent {
    explicit Extent(const Axis& axis) : is_log(axis.log) {}
    void add(double value) {
        if (!shows(value)) return;
        low = std::min(low, std::clamp(value, -1e300, 1e300));
        high = std::max(high, std::clamp(value, -1e300, 1e300));
    }
    [[nodiscard]] bool shows(double value) const { return std::isfinite(value) && (!is_log || value >= 1e-300); }
    [[nodiscard]] bool is_empty() const { return low > high; }
    [[nodiscard]] Scale scale(const Axis& axis, bool to_ticks, int about) const {
        return is_empty() ? Scale(axis, 1, 1, to_ticks, about) : Scale(axis, low, high, to_ticks, about);
    }

    bool is_log;
    double low = std::numeric_limits<double>::infinity();
    double high = -low;
};

class Frame {
public:
    Frame(const Axis& x_axis, const Axis& y_axis, const Extent& x_extent, const Extent& y_extent)
        : x_axis_(x_axis), y_axis_(y_axis), x_(x_extent.scale(x_axis, false, 7)), y_(y_extent.scale(y_axis, true, 5)) {}

    [[nodiscard]] double x(double value) const { return left + x_.share(value) * (right - left); }
    [[nodiscard]] double y(double value) const { return bottom - y_.share(value) * (bottom - top); }

    // Grid, labels and titles. labels: of bars, in place of numbers along x.
    [[nodiscard]] std::string draw(std::span<const std::string> labels = {}) const {
        std::string svg;
        for (const auto& tick : y_.ticks()) {
            svg += fmt::format("<path class=\"grid\" d=\"M{} {:.1f}H{}\"/><text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
                               left, y(tick.value), right, left - 7, y(tick.value) + 4, escape(tick.label));
        }
        const auto mark_x = [&](double at, const std::string& label, const std::string& full) {
            svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}{}</text>\n", at, bottom + 18, escape(label),
                               full == label ? "" : "<title>" + escape(full) + "</title>");
        };
        if (labels.empty()) {
            double free = 0;  // from where nothing is written yet
            for (const auto& tick : x_.ticks()) {
                svg += fmt::format("<path class=\"frame\" d=\"M{:.1f} {}v5\"/>", x(tick.value), bottom);
                const double half = letter_width * static_cast<double>(tick.label.size()) / 2;
                const double at = std::min(x(tick.value), width - half);
                if (at - half < free) continue;  // the mark alone
                mark_x(at, tick.label, tick.label);
                free = at + half;
            }
        }
        for (std::size_t bar = 0; bar < labels.size(); ++bar) {
            const double room = (right - left) / static_cast<double>(labels.size());
            mark_x(x(static_cast<double>(bar) + 0.5), shortened(labels[bar], room), labels[bar]);
        }
        svg += fmt::format("<path class=\"frame\" d=\"M{} {}H{}\"/>", left, bottom, right);
        svg += fmt::format("<text x=\"0\" y=\"12\">{}</text>", escape(titled(y_axis_)));
        svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", right, height - 4, escape(titled(x_axis_)));
        return svg;
    }

private:
    static std::string titled(const Axis& axis) {
        return axis.title + (axis.unit.empty() ? "" : " (" + axis.unit + ")") + (axis.log ? ", logarithmic" : "");
    }
    static std::string shortened(const std::string& text, double room) {
        const auto fits = static_cast<std::size_t>(room / letter_width);
        if (text.size() <= fits) return text;
        // Not through the middle of a letter of several bytes.
        std::size_t end = std::max<std::size_t>(fits, 2) - 1;
        while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
        return text.substr(0, end) + "…";
    }

    const Axis& x_axis_;
    const Axis& y_axis_;
    Scale x_, y_;
};

struct LegendEntry {
    std::string key;  // what to draw in 30 x 12 units
    std::string name;
};

std::string figure(const std::string& title, const std::string& note, const std::string& label, const std::string& svg,
                   const std::vector<LegendEntry>& legend) {
    std::string text =
        fmt::format("<figure>\n<figcaption>{}{}</figcaption>\n", escape(title), note.empty() ? "" : "<small>" + escape(note) + "</small>");
    text += fmt::format("<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n{}</svg>\n", width, height,
                        escape(label), svg);
    if (!legend.empty()) {
        text += "<ul class=\"legend\">";
        for (const auto& [key, name] : legend)
            text += fmt::format("<li><svg viewBox=\"0 0 30 12\" aria-hidden=\"true\">{}</svg>{}</li>", key, escape(name));
        text += "</ul>\n";
    }
    return text + "</figure>\n";
}

// More points than the eye can see: of those in one column only the first, the least, the largest and the last, in their order.
std::vector<Point> thinned(std::span<const Point> points, const Frame& frame) {
    if (points.size() <= 4 * static_cast<std::size_t>(width)) return {points.begin(), points.end()};
    std::vector<Point> kept;
    for (std::size_t begin = 0, end = 0; begin < points.size(); begin = end) {
        const double column = std::floor(frame.x(points[begin].x));
        while (end < points.size() && std::floor(frame.x(points[end].x)) == column) ++end;
        const auto of_column = points.subspan(begin, end - begin);
        const auto below = [](const Point& a, const Point& b) { return a.y < b.y; };
        const auto [least, largest] = std::minmax_element(of_column.begin(), of_column.end(), below);
        std::vector<std::size_t> places{0, static_cast<std::size_t>(least - of_column.begin()),
                                        static_cast<std::size_t>(largest - of_column.begin()), of_column.size() - 1};
        std::sort(places.begin(), places.end());
        places.erase(std::unique(places.begin(), places.end()), places.end());
        for (const std::size_t place : places) kept.push_back(of_column[place]);
    }
    return kept;
}

// Runs of points without a gap.
std::vector<std::vector<Point>> pieces_of(const Line& line, const Extent& x, const Extent& y) {
    std::vector<std::vector<Point>> pieces(1);
    for (const Point& point : line.points) {
        if (x.shows(point.x) && y.shows(point.y)) {
            pieces.back().push_back(point);
        } else if (!pieces.back().empty()) {
            pieces.emplace_back();
        }
    }
    if (pieces.back().empty()) pieces.pop_back();
    return pieces;
}

// lines_above: lines drawn later. A line that others cover looks out from below them.
std::string draw_line(const Line& line, std::size_t lines_above, const LineChart& chart, const Frame& frame, const Extent& x,
                      const Extent& y) {
    std::string path, dots;
    for (const auto& piece : pieces_of(line, x, y)) {
        char step = 'M';
        for (const Point& point : thinned(piece, frame)) {
            path += fmt::format("{}{:.1f} {:.1f}", step, frame.x(point.x), frame.y(point.y));
            step = 'L';
        }
        // A line of one point cannot be seen.
        const bool with_dots = (line.points.size() <= most_dots && !line.is_thin) || piece.size() == 1;
        for (const Point& point : piece) {
            if (!with_dots) break;
            dots += fmt::format("<circle class=\"dot {}s{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.6\"><title>{}</title></circle>",
                                point.is_doubtful ? "hollow " : "", line.style % colours, frame.x(point.x), frame.y(point.y),
                                escape(fmt::format("{}{} {}: {}", line.name.empty() ? "" : line.name + ", ", chart.x.title,
                                                   number_text(point.x, chart.x.unit), number_text(point.y, chart.y.unit))));
        }
    }
    const std::string wider = line.is_thin || lines_above == 0
                                  ? ""
                                  : fmt::format(" style=\"stroke-width:{}\"", 2 + 0.8 * std::min(static_cast<double>(lines_above), 3.0));
    return fmt::format("<path class=\"line {}{}\"{} d=\"{}\"/>{}\n", line.is_thin ? "thin " : "", line_class(line.style), wider, path,
                       dots);
}

std::string draw_band(const Band& band, const Frame& frame, const Extent& x, const Extent& y) {
    Line low, high;
    for (const auto& reach : band.reaches) {
        if (!x.shows(reach.x) || !y.shows(reach.low) || !y.shows(reach.high)) continue;
        low.points.push_back({reach.x, reach.low});
        high.points.push_back({reach.x, reach.high});
    }
    std::vector<Point> outline = thinned(high.points, frame);
    const std::vector<Point> back = thinned(low.points, frame);
    outline.insert(outline.end(), back.rbegin(), back.rend());
    std::string path;
    for (const Point& point : outline) path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? 'M' : 'L', frame.x(point.x), frame.y(point.y));
    return fmt::format("<path class=\"band s{}\" d=\"{}{}\"/>\n", band.style % colours, path, path.empty() ? "" : "Z");
}

// "A from 0.9 to 0.1 (12 points)": the chart in words.
std::string in_words(const Line& line, const LineChart& chart, const Extent& x, const Extent& y) {
    const auto pieces = pieces_of(line, x, y);
    if (pieces.empty()) return (line.name.empty() ? chart.y.title : line.name) + " without values";
    return fmt::format("{} from {} at {} {} to {} at {}", line.name.empty() ? chart.y.title : line.name,
                       number_text(pieces.front().front().y, chart.y.unit), chart.x.title,
                       number_text(pieces.front().front().x, chart.x.unit), number_text(pieces.back().back().y, chart.y.unit),
                       number_text(pieces.back().back().x, chart.x.unit));
}

}  // namespace

std::string draw(const LineChart& chart) {
    Extent x(chart.x), y(chart.y);
    const auto add = [&](double at, double value) {
        if (!x.shows(at) || !y.shows(value)) return;
        x.add(at);
        y.add(value);
    };
    for (const auto& line : chart.lines) {
        for (const auto& point : line.points) add(point.x, point.y);
    }
    for (const auto& band : chart.bands) {
        for (const auto& reach : band.reaches) {
            add(reach.x, reach.low);
            add(reach.x, reach.high);
        }
    }
    const Frame frame(chart.x, chart.y, x, y);
    std::string svg = frame.draw();
    std::string words = chart.title + ": ";
    std::vector<LegendEntry> legend;
    for (const auto& band : chart.bands) svg += draw_band(band, frame, x, y);
    auto above =
        static_cast<std::size_t>(std::count_if(chart.lines.begin(), chart.lines.end(), [](const Line& line) { return !line.is_thin; }));
    for (const auto& line : chart.lines) {
        if (!line.is_thin) --above;
        svg += draw_line(line, above, chart, frame, x, y);
        if (!line.name.empty() || chart.lines.size() == 1) words += in_words(line, chart, x, y) + "; ";
        if (!line.name.empty())
            legend.push_back(
                {fmt::format("<path class=\"line {}{}\" d=\"M1 6H29\"/>", line.is_thin ? "thin " : "", line_class(line.style)), line.name});
    }
    for (const auto& band : chart.bands) {
        if (!band.name.empty())
            legend.push_back(
                {fmt::format("<rect class=\"band s{}\" x=\"1\" y=\"1\" width=\"28\" height=\"10\"/>", band.style % colours), band.name});
    }
    return figure(chart.title, chart.note, words + "horizontal: " + chart.x.title, svg, legend);
}

std::string draw(const StackedChart& chart) {
    const std::size_t bars = chart.labels.empty() ? std::max<std::size_t>(chart.edges.size(), 1) - 1 : chart.labels.size();
    const auto edge = [&](std::size_t bar) { return chart.labels.empty() ? chart.edges[bar] : static_cast<double>(bar); };
    Extent x(chart.x), y(chart.y);
    std::vector<double> sums(bars);
    for (const auto& layer : chart.layers) {
        assert(layer.heights.size() == bars);
        for (std::size_t bar = 0; bar < bars; ++bar) sums[bar] += layer.heights[bar];
    }
    for (std::size_t bar = 0; bar < bars; ++bar) {
        x.add(edge(bar));
        x.add(edge(bar + 1));
        y.add(sums[bar]);
    }
    const Frame frame(chart.x, chart.y, x, y);
    std::string svg = frame.draw(chart.labels);
    std::string words = chart.title + ": ";
    std::vector<LegendEntry> legend;
    const double gap = chart.labels.empty() ? 0.12 : 0.3;
    const double widest = 70;  // a lone bar is no wall
    std::vector<double> base(bars, 0.0);
    for (const auto& layer : chart.layers) {
        std::string path;
        double all = 0;
        for (std::size_t bar = 0; bar < bars; ++bar) {
            const double bottom_y = frame.y(base[bar]);
            base[bar] += layer.heights[bar];
            all += layer.heights[bar];
            const double x0 = frame.x(edge(bar)), room = frame.x(edge(bar + 1)) - x0;
            const double bar_width = std::min(room * (1 - gap), widest);
            path += fmt::format("M{:.1f} {:.1f}h{:.1f}V{:.1f}h-{:.1f}Z", x0 + (room - bar_width) / 2, bottom_y, bar_width,
                                frame.y(base[bar]), bar_width);
        }
        svg += fmt::format("<path class=\"layer s{}\"{} d=\"{}\"><title>{}</title></path>\n", layer.style % colours,
                           layer_fill(layer.style), path, escape(layer.name));
        legend.push_back({fmt::format("<rect class=\"layer s{}\"{} x=\"1\" width=\"28\" height=\"12\"/>", layer.style % colours,
                                      layer_fill(layer.style)),
                          layer.name});
        words += fmt::format("{} {} on average, ", layer.name, number_text(bars == 0 ? 0 : all / static_cast<double>(bars), chart.y.unit));
    }
    // In the order in which they lie, seen from above.
    std::reverse(legend.begin(), legend.end());
    return figure(chart.title, chart.note, words + "horizontal: " + chart.x.title, svg, legend);
}

std::string definitions() {
    std::string svg = "<svg class=\"hidden\" aria-hidden=\"true\"><defs>";
    for (std::size_t colour = 0; colour < colours; ++colour) {
        svg += fmt::format(
            "<pattern id=\"hatch{0}\" class=\"s{0}\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
            "patternTransform=\"rotate(45)\"><rect class=\"band\" width=\"6\" height=\"6\"/><path class=\"line\" d=\"M1 0V6\"/></pattern>",
            colour);
    }
    return svg + "</defs></svg>\n";
}

}  // namespace silosum::plot

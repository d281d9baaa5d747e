// Charts as HTML figures with inline SVG: a title, axes with units, a legend, and a text that says the same to those who cannot see them.
// The style sheet of observe/html.hpp gives the colours; series differ in dashes or hatching too.
#pragma once

#include <string>
#include <vector>

#include "observe/axis.hpp"

namespace silosum::plot {

struct Point {
    double x, y;
    bool is_doubtful = false;  // its dot is hollow
};

/// style: number of the colour and the dashes; equal for what belongs together. A point that is not finite, or not positive on a
/// logarithmic axis, leaves a gap.
struct Line {
    std::string name;  // in the legend; none where empty
    std::vector<Point> points;
    std::size_t style = 0;
    bool is_thin = false;  // beside a main line, without dots
};

/// The room between two values at each x.
struct Band {
    std::string name;
    struct Reach {
        double x, low, high;
    };
    std::vector<Reach> reaches;
    std::size_t style = 0;
};

struct LineChart {
    std::string title;
    std::string note;  // smaller, below the title
    Axis x, y;
    std::vector<Band> bands;
    std::vector<Line> lines;
};

/// Bars of layers that stand on each other, the first at the bottom.
struct StackedChart {
    std::string title;
    std::string note;
    Axis x, y;
    std::vector<double> edges;        // of the bars, ascending, one more than bars
    std::vector<std::string> labels;  // of the bars, instead of numbers along x; their edges are then 0, 1, 2...
    struct Layer {
        std::string name;
        std::vector<double> heights;  // one a bar, not negative
        std::size_t style = 0;
    };
    std::vector<Layer> layers;
};

/// A whole <figure>.
[[nodiscard]] std::string draw(const LineChart& chart);
[[nodiscard]] std::string draw(const StackedChart& chart);

/// What charts refer to: has to stand once in a page with charts.
[[nodiscard]] std::string definitions();

}  // namespace silosum::plot

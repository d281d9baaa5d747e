// Axes of charts: where they begin and end, their marks, and numbers with units as people read them.
#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace silosum::plot {

struct Tick {
    double value;
    std::string label;
};

struct Axis {
    std::string title = {};
    std::string unit = {};                                     // "s", "B": labels are "20 ms", "3 MB"; plain numbers where empty
    bool log = false;                                          // values that are not positive are not drawn
    bool whole = false;                                        // counts: no marks between whole numbers
    bool from_zero = false;                                    // begins at 0 even if all values are larger
    double ceiling = std::numeric_limits<double>::infinity();  // no value can be larger, as for an accuracy
    std::vector<Tick> marks = {};                              // ascending, in place of round numbers; left out where they are too dense
};

/// "1.5 MB", "320 µs", "15": three or four significant digits, with the prefix that suits the value.
[[nodiscard]] std::string number_text(double value, std::string_view unit);

/// An axis laid over values from `low` to `high`, both finite.
class Scale {
public:
    /// to_ticks: the ends move out to the next marks. about: how many marks suit the length of the axis.
    Scale(const Axis& axis, double low, double high, bool to_ticks, int about);

    [[nodiscard]] double low() const { return low_; }
    [[nodiscard]] double high() const { return high_; }
    [[nodiscard]] const std::vector<Tick>& ticks() const { return ticks_; }
    /// 0 at the low end, 1 at the high one.
    [[nodiscard]] double share(double value) const;

private:
    void lay_linear(const Axis& axis, bool to_ticks, int about);
    void lay_log(const Axis& axis, bool to_ticks, int about);

    double low_, high_;
    bool log_;
    std::vector<Tick> ticks_;
};

}  // namespace silosum::plot

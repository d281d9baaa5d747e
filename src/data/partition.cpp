#include "data/partition.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/error.hpp"
#include "base/random.hpp"
#include "data/number_text.hpp"

namespace silosum {

namespace {

constexpr std::size_t most_draws = 1000;

// Takes one value after the other from a stream, for draws that need a varying number of them.
class Draws {
public:
    explicit Draws(const Random& random) : random_(random) {}
    double uniform() { return random_.uniform(next_++); }
    double normal() {
        const std::uint64_t pair = (next_ + 1) / 2;  // made of values 2 pair and 2 pair + 1 of the stream
        next_ = 2 * pair + 2;
        return random_.normal(pair);
    }

private:
    Random random_;
    std::uint64_t next_ = 0;
};

// Logarithm of a Gamma(shape, 1) variable: Marsaglia and Tsang 2000, with their boost Gamma(a) = Gamma(a + 1) U^(1/a) for a < 1,
// in logarithms because small shapes give values below the smallest double.
double log_gamma_draw(double shape, Draws& draws) {
    if (shape < 1.0) {
        const double boosted = log_gamma_draw(shape + 1.0, draws);
        return boosted + std::log1p(-draws.uniform()) / shape;
    }
    const double d = shape - 1.0 / 3.0;
    const double c = 1.0 / std::sqrt(9.0 * d);
    while (true) {
        const double x = draws.normal();
        const double v = std::pow(1.0 + c * x, 3.0);
        const double u = 1.0 - draws.uniform();
        if (v > 0.0 && std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) return std::log(d) + std::log(v);
    }
}

// Draws from Dirichlet(alpha, ..., alpha) over the silos that are open; 0 for the others.
std::vector<double> dirichlet_draw(double alpha, const std::vector<bool>& is_open, Draws& draws) {
    std::vector<double> logs(is_open.size());
    for (double& value : logs) value = log_gamma_draw(alpha, draws);
    double largest = -INFINITY;
    for (std::size_t i = 0; i < logs.size(); ++i) {
        if (is_open[i]) largest = std::max(largest, logs[i]);
    }
    std::vector<double> shares(logs.size(), 0.0);
    double sum = 0.0;
    for (std::size_t i = 0; i < logs.size(); ++i) {
        if (is_open[i]) sum += shares[i] = std::exp(logs[i] - largest);
    }
    for (double& share : shares) share /= sum;
    return shares;
}

// Deals the rows out in order, silo i getting about shares[i] of them; the last silo with a share takes what rounding left.
void deal(std::span<const std::uint32_t> rows, const std::vector<double>& shares, Parts& parts) {
    if (rows.empty()) return;
    double cumulated = 0.0;
    std::size_t begin = 0;
    std::size_t last = 0;
    for (std::size_t i = 0; i < shares.size(); ++i) {
        if (shares[i] > 0.0) last = i;
    }
    for (std::size_t i = 0; i <= last; ++i) {
        cumulated += shares[i];
        const auto rounded = static_cast<std::size_t>(cumulated * static_cast<double>(rows.size()));
        const std::size_t end = i == last ? rows.size() : std::clamp(rounded, begin, rows.size());
        parts[i].insert(parts[i].end(), rows.begin() + static_cast<std::ptrdiff_t>(begin), rows.begin() + static_cast<std::ptrdiff_t>(end));
        begin = end;
    }
}

Parts sorted(Parts parts) {
    for (auto& rows : parts) std::sort(rows.begin(), rows.end());
    return parts;
}

std::size_t smallest_part(const Parts& parts) {
    std::size_t smallest = parts.empty() ? 0 : parts[0].size();
    for (const auto& rows : parts) smallest = std::min(smallest, rows.size());
    return smallest;
}

void check_counts(std::size_t rows, std::size_t silos, std::size_t min_rows) {
    require(silos >= 1 && silos <= rows, "{} rows cannot be split over {} silos", rows, silos);
    require(min_rows <= rows / silos,
            "{} rows are too few for {} silos with at least {} rows each: use fewer silos or a smaller --min-rows", rows, silos, min_rows);
}

// Calls draw(attempt) until every silo has enough rows: attempts are numbered, so the outcome depends on the seed alone.
template <class Draw>
Parts until_large_enough(const char* split, double alpha, std::size_t min_rows, const Draw& draw) {
    for (std::uint32_t attempt = 0; attempt < most_draws; ++attempt) {
        Parts parts = draw(attempt);
        if (smallest_part(parts) >= min_rows) return sorted(std::move(parts));
    }
    throw UsageError(
        fmt::format("{}:{} left a silo with fewer than {} rows in each of {} draws: use a larger number after the colon, fewer silos, "
                    "or a smaller --min-rows",
                    split, alpha, min_rows, most_draws));
}

std::vector<std::vector<std::uint32_t>> rows_by_label(std::span<const std::int32_t> labels, std::size_t classes) {
    std::vector<std::vector<std::uint32_t>> rows(classes);
    for (std::size_t row = 0; row < labels.size(); ++row)
        rows[static_cast<std::size_t>(labels[row])].push_back(static_cast<std::uint32_t>(row));
    return rows;
}

void shuffle(std::vector<std::uint32_t>& rows, const Random& random) {
    const auto order = permutation(random, rows.size());
    std::vector<std::uint32_t> shuffled(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) shuffled[i] = rows[order[i]];
    rows = std::move(shuffled);
}

}  // namespace

Parts split_iid(std::size_t rows, std::size_t silos, std::uint64_t seed) {
    check_counts(rows, silos, 1);
    const auto order = permutation(Random(seed, Purpose::partition), rows);
    Parts parts(silos);
    for (std::size_t i = 0; i < silos; ++i) {
        parts[i].assign(order.begin() + static_cast<std::ptrdiff_t>(i * rows / silos),
                        order.begin() + static_cast<std::ptrdiff_t>((i + 1) * rows / silos));
    }
    return sorted(std::move(parts));
}

Parts split_by_labels(std::span<const std::int32_t> labels, std::size_t pieces, std::size_t silos, std::uint64_t seed) {
    require(pieces >= 1, "labels:{} gives every silo no piece; use labels:1 or more", pieces);
    check_counts(labels.size(), silos * pieces, 1);
    std::vector<std::uint32_t> by_label(labels.size());
    std::iota(by_label.begin(), by_label.end(), 0U);
    std::stable_sort(by_label.begin(), by_label.end(), [&](std::uint32_t a, std::uint32_t b) { return labels[a] < labels[b]; });
    const std::size_t all = silos * pieces;
    const auto dealt = permutation(Random(seed, Purpose::partition), all);
    Parts parts(silos);
    for (std::size_t i = 0; i < all; ++i) {
        const std::size_t piece = dealt[i];
        auto& rows = parts[i / pieces];
        rows.insert(rows.end(), by_label.begin() + static_cast<std::ptrdiff_t>(piece * labels.size() / all),
                    by_label.begin() + static_cast<std::ptrdiff_t>((piece + 1) * labels.size() / all));
    }
    return sorted(std::move(parts));
}

Parts split_dirichlet(std::span<const std::int32_t> labels, std::size_t classes, double alpha, std::size_t silos, std::size_t min_rows,
                      std::uint64_t seed) {
    require(std::isfinite(alpha) && alpha > 0.0, "dirichlet:{} needs a number above 0", alpha);
    check_counts(labels.size(), silos, min_rows);
    const auto of_label = rows_by_label(labels, classes);
    // Streams 2 attempt (proportions) and 2 attempt + 1 (order within a class).
    return until_large_enough("dirichlet", alpha, min_rows, [&](std::uint32_t attempt) {
        Parts parts(silos);
        for (std::size_t label = 0; label < classes; ++label) {
            const auto key = static_cast<std::uint32_t>(label);
            std::vector<bool> is_open(silos);
            for (std::size_t i = 0; i < silos; ++i) is_open[i] = parts[i].size() * silos < labels.size();
            Draws draws(Random(seed, Purpose::partition, key, 2 * attempt));
            auto rows = of_label[label];
            shuffle(rows, Random(seed, Purpose::partition, key, 2 * attempt + 1));
            deal(rows, dirichlet_draw(alpha, is_open, draws), parts);
        }
        return parts;
    });
}

Parts split_by_quantity(std::size_t rows, double alpha, std::size_t silos, std::size_t min_rows, std::uint64_t seed) {
    require(std::isfinite(alpha) && alpha > 0.0, "quantity:{} needs a number above 0", alpha);
    check_counts(rows, silos, min_rows);
    return until_large_enough("quantity", alpha, min_rows, [&](std::uint32_t attempt) {
        Draws draws(Random(seed, Purpose::partition, 0, 2 * attempt));
        const auto order = permutation(Random(seed, Purpose::partition, 0, 2 * attempt + 1), rows);
        Parts parts(silos);
        deal(order, dirichlet_draw(alpha, std::vector<bool>(silos, true), draws), parts);
        return parts;
    });
}

Parts split_by_name(std::span<const std::string> name_of_row, std::vector<std::string>& names) {
    std::map<std::string, std::vector<std::uint32_t>> rows_of;
    for (std::size_t row = 0; row < name_of_row.size(); ++row) rows_of[name_of_row[row]].push_back(static_cast<std::uint32_t>(row));
    names.clear();
    for (const auto& [name, rows] : rows_of) names.push_back(name);
    sort_as_numbers_or_words(names);
    Parts parts;
    for (const auto& name : names) parts.push_back(rows_of[name]);
    return parts;
}

std::vector<bool> choose_stratified(std::span<const std::int32_t> labels, std::size_t rows, std::size_t count, std::uint64_t seed,
                                    std::uint32_t silo, std::uint32_t round) {
    std::vector<std::uint32_t> order = permutation(Random(seed, Purpose::split, silo, round), rows);
    if (!labels.empty()) {
        std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return labels[a] < labels[b]; });
    }
    // Every (rows / count)-th of the rows in label order: each label's share is right within one row.
    std::vector<bool> chosen(rows, false);
    for (std::size_t i = 0; i < count; ++i) chosen[order[(2 * i + 1) * rows / (2 * count)]] = true;
    return chosen;
}

}  // namespace silosum

#include "benchmark/least_squares.hpp"

#include <algorithm>
#include <cmath>

namespace silosum {

namespace {

using Matrix = std::vector<std::vector<double>>;

// By Gauss and Jordan with the largest pivot. Empty where a column is explained by others, but for rounding.
Matrix inverse(Matrix a) {
    const std::size_t n = a.size();
    Matrix result(n, std::vector<double>(n, 0));
    for (std::size_t i = 0; i < n; ++i) result[i][i] = 1;
    for (std::size_t column = 0; column < n; ++column) {
        std::size_t pivot = column;
        for (std::size_t i = column + 1; i < n; ++i) pivot = std::abs(a[i][column]) > std::abs(a[pivot][column]) ? i : pivot;
        if (std::abs(a[pivot][column]) < 1e-11) return {};
        std::swap(a[pivot], a[column]);
        std::swap(result[pivot], result[column]);
        const double scale = 1 / a[column][column];
        for (std::size_t k = 0; k < n; ++k) {
            a[column][k] *= scale;
            result[column][k] *= scale;
        }
        for (std::size_t i = 0; i < n; ++i) {
            const double factor = a[i][column];
            if (i == column || factor == 0) continue;
            for (std::size_t k = 0; k < n; ++k) {
                a[i][k] -= factor * a[column][k];
                result[i][k] -= factor * result[column][k];
            }
        }
    }
    return result;
}

class ActiveSet {
public:
    ActiveSet(const Matrix& rows, const std::vector<double>& wanted) : columns_(rows.empty() ? 0 : rows.front().size()) {
        scale_.assign(columns_, 0);
        is_explained_.assign(columns_, false);
        for (const auto& row : rows) {
            for (std::size_t j = 0; j < columns_; ++j) scale_[j] += row[j] * row[j];
        }
        for (double& scale : scale_) scale = scale > 0 ? 1 / std::sqrt(scale) : 0;
        products_.assign(columns_, std::vector<double>(columns_, 0));
        right_.assign(columns_, 0);
        for (std::size_t i = 0; i < rows.size(); ++i) {
            for (std::size_t j = 0; j < columns_; ++j) {
                right_[j] += scale_[j] * rows[i][j] * wanted[i];
                for (std::size_t k = 0; k < columns_; ++k) products_[j][k] += scale_[j] * rows[i][j] * scale_[k] * rows[i][k];
            }
        }
        x_.assign(columns_, 0);
        largest_ = std::abs(right_.empty() ? 0 : *std::ranges::max_element(right_, {}, [](double v) { return std::abs(v); }));
    }

    void solve() {
        for (std::size_t step = 0; step < 3 * columns_ + 10; ++step) {
            const auto next = steepest();
            if (next == columns_) return;
            free_.push_back(next);
            if (inverse(products_of_free()).empty()) {
                is_explained_[next] = true;  // by those that are there: it stays 0
                free_.pop_back();
                continue;
            }
            while (!move_to_best()) {
            }
        }
    }

    [[nodiscard]] NonNegativeFit result() const {
        NonNegativeFit fit{std::vector<double>(columns_, 0), Matrix(columns_, std::vector<double>(columns_, 0))};
        const Matrix inverted = inverse(products_of_free());
        for (std::size_t a = 0; a < free_.size(); ++a) {
            fit.values[free_[a]] = scale_[free_[a]] * x_[free_[a]];
            for (std::size_t b = 0; b < free_.size(); ++b) {
                fit.covariance[free_[a]][free_[b]] = scale_[free_[a]] * inverted[a][b] * scale_[free_[b]];
            }
        }
        return fit;
    }

private:
    // The bound value whose growth would help most, or columns_.
    [[nodiscard]] std::size_t steepest() const {
        std::size_t best = columns_;
        double most = 1e-12 * largest_;
        for (std::size_t j = 0; j < columns_; ++j) {
            if (is_explained_[j] || std::ranges::find(free_, j) != free_.end()) continue;
            double slope = right_[j];
            for (std::size_t k = 0; k < columns_; ++k) slope -= products_[j][k] * x_[k];
            if (slope > most) {
                most = slope;
                best = j;
            }
        }
        return best;
    }
    [[nodiscard]] Matrix products_of_free() const {
        Matrix some(free_.size(), std::vector<double>(free_.size()));
        for (std::size_t a = 0; a < free_.size(); ++a) {
            for (std::size_t b = 0; b < free_.size(); ++b) some[a][b] = products_[free_[a]][free_[b]];
        }
        return some;
    }
    // To the least squares of the free values, or as far as the first of them gets to zero: that one is bound, and false returned.
    bool move_to_best() {
        const Matrix inverted = inverse(products_of_free());
        std::vector<double> best(free_.size(), 0);
        for (std::size_t a = 0; a < free_.size(); ++a) {
            for (std::size_t b = 0; b < free_.size(); ++b) best[a] += inverted[a][b] * right_[free_[b]];
        }
        double share = 1;
        std::size_t first = free_.size();
        for (std::size_t a = 0; a < free_.size(); ++a) {
            const double now = x_[free_[a]];
            if (best[a] > 0) continue;
            const double until_zero = now > 0 ? now / (now - best[a]) : 0;
            if (first == free_.size() || until_zero < share) {
                share = until_zero;
                first = a;
            }
        }
        for (std::size_t a = 0; a < free_.size(); ++a) x_[free_[a]] += share * (best[a] - x_[free_[a]]);
        if (first == free_.size()) return true;
        x_[free_[first]] = 0;
        free_.erase(free_.begin() + static_cast<std::ptrdiff_t>(first));
        return free_.empty();
    }

    std::size_t columns_;
    std::vector<double> scale_;
    std::vector<bool> is_explained_;
    Matrix products_;
    std::vector<double> right_;
    std::vector<double> x_;  // of scaled columns
    std::vector<std::size_t> free_;
    double largest_ = 0;
};

}  // namespace

NonNegativeFit fit_non_negative(const std::vector<std::vector<double>>& rows, const std::vector<double>& wanted) {
    ActiveSet set(rows, wanted);
    set.solve();
    return set.result();
}

}  // namespace silosum

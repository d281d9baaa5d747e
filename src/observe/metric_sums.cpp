// The sums behind the metrics: where each lies in the two vectors, what a row adds, and what the totals mean.
#include <algorithm>
#include <cassert>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/error.hpp"
#include "observe/metrics.hpp"

namespace silosum {

namespace {

// Positions in numbers_. Classes: what follows calibration confidence is one sum per bin.
enum ClassNumber : std::size_t { loss_sum, weighted_loss_sum, weight_sum, brier_sum, confidence_sums };
enum RegressionNumber : std::size_t { absolute_sum, squared_sum, target_sum, target_squared_sum, regression_numbers };

std::size_t classes_of(const Problem& problem) {
    return problem.task == Task::binary ? 2 : problem.classes;
}
bool keeps_confusion(const Problem& problem) {
    return classes_of(problem) <= MetricSums::confusion_limit;
}
bool keeps_scores(const Problem& problem) {
    return classes_of(problem) == 2;
}

// Where the parts of counts_ begin: rows, confusion (or hits, predictions, occurrences), calibration (rows, right), scores (negative,
// positive).
std::size_t confusion_begin() {
    return 1;
}
std::size_t calibration_begin(const Problem& problem) {
    const std::size_t classes = classes_of(problem);
    return confusion_begin() + (keeps_confusion(problem) ? classes * classes : 3 * classes);
}
std::size_t scores_begin(const Problem& problem) {
    return calibration_begin(problem) + 2 * MetricSums::calibration_bins;
}

std::size_t bin_of(double share, std::size_t bins) {
    // Not a number compares false and lands in bin 0; its loss shows it.
    const double position = share * static_cast<double>(bins);
    if (!(position > 0)) return 0;
    return std::min(static_cast<std::size_t>(position), bins - 1);
}

// log(1 + e^z) without overflow.
double softplus(double z) {
    return std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z)));
}

std::optional<double> ratio(double numerator, double denominator) {
    if (denominator == 0) return std::nullopt;
    return numerator / denominator;
}

std::optional<double> ratio(std::uint64_t numerator, std::uint64_t denominator) {
    return ratio(static_cast<double>(numerator), static_cast<double>(denominator));
}

struct ClassCounts {
    std::uint64_t hits = 0, predicted = 0, actual = 0;
};

}  // namespace

MetricSums::MetricSums(const Problem& problem) : problem_(problem), counts_(count_length(problem)), numbers_(number_length(problem)) {}

MetricSums MetricSums::from_sums(const Problem& problem, std::span<const std::uint64_t> counts, std::span<const double> numbers) {
    MetricSums sums(problem);
    require<RuntimeError>(counts.size() == sums.counts_.size() && numbers.size() == sums.numbers_.size(),
                          "metric sums have {} counts and {} numbers, the problem needs {} and {}", counts.size(), numbers.size(),
                          sums.counts_.size(), sums.numbers_.size());
    sums.counts_.assign(counts.begin(), counts.end());
    sums.numbers_.assign(numbers.begin(), numbers.end());
    return sums;
}

std::size_t MetricSums::count_length(const Problem& problem) {
    if (problem.task == Task::regression) return 1;
    return scores_begin(problem) + (keeps_scores(problem) ? 2 * score_bins : 0);
}

std::size_t MetricSums::number_length(const Problem& problem) {
    return problem.task == Task::regression ? std::size_t{regression_numbers} : confidence_sums + calibration_bins;
}

void MetricSums::add(std::span<const float> outputs, std::span<const std::int32_t> labels, std::span<const float> class_weights) {
    const std::size_t width = problem_.outputs();
    assert(problem_.task != Task::regression && outputs.size() == labels.size() * width);
    assert(class_weights.empty() || class_weights.size() == classes_of(problem_));
    counts_[0] += labels.size();
    for (std::size_t row = 0; row < labels.size(); ++row) {
        const auto label = static_cast<std::size_t>(labels[row]);
        assert(label < classes_of(problem_));
        const std::span<const float> logits = outputs.subspan(row * width, width);
        const RowLoss of_row = problem_.task == Task::binary ? add_logit(logits[0], label) : add_logits(logits, label);
        const double weight = class_weights.empty() ? 1 : class_weights[label];
        numbers_[loss_sum] += of_row.loss;
        numbers_[weighted_loss_sum] += weight * of_row.loss;
        numbers_[weight_sum] += weight;
        numbers_[brier_sum] += of_row.brier;
    }
}

MetricSums::RowLoss MetricSums::add_logit(double logit, std::size_t label) {
    const bool positive = label == 1;
    const double probability = 1 / (1 + std::exp(-logit));
    const double distance = probability - (positive ? 1 : 0);
    count_prediction(label, logit > 0 ? 1 : 0);
    add_calibration(probability, positive);
    add_score(logit, positive);
    return {softplus(positive ? -logit : logit), distance * distance};
}

MetricSums::RowLoss MetricSums::add_logits(std::span<const float> logits, std::size_t label) {
    const auto predicted = static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    const double top = logits[predicted];
    double sum = 0, squares = 0;
    for (const float logit : logits) {
        const double share = std::exp(logit - top);
        sum += share;
        squares += share * share;
    }
    const double truth = std::exp(logits[label] - top) / sum;
    count_prediction(label, predicted);
    add_calibration(1 / sum, predicted == label);
    if (keeps_scores(problem_)) add_score(static_cast<double>(logits[1]) - logits[0], label == 1);
    // Brier: sum over classes of (p - [c = label])^2 = sum p^2 - 2 p_label + 1.
    return {std::log(sum) - (logits[label] - top), squares / (sum * sum) - 2 * truth + 1};
}

void MetricSums::add(std::span<const float> outputs, std::span<const float> targets) {
    assert(problem_.task == Task::regression && outputs.size() == targets.size());
    counts_[0] += targets.size();
    for (std::size_t row = 0; row < targets.size(); ++row) {
        const double target = targets[row];
        const double error = outputs[row] - target;
        numbers_[absolute_sum] += std::abs(error);
        numbers_[squared_sum] += error * error;
        numbers_[target_sum] += target;
        numbers_[target_squared_sum] += target * target;
    }
}

MetricSums& MetricSums::operator+=(const MetricSums& other) {
    assert(counts_.size() == other.counts_.size() && numbers_.size() == other.numbers_.size());
    std::transform(counts_.begin(), counts_.end(), other.counts_.begin(), counts_.begin(), std::plus<>());
    std::transform(numbers_.begin(), numbers_.end(), other.numbers_.begin(), numbers_.begin(), std::plus<>());
    return *this;
}

std::uint64_t MetricSums::rows() const {
    return counts_[0];
}

bool MetricSums::has_confusion() const {
    return problem_.task != Task::regression && keeps_confusion(problem_);
}

std::uint64_t MetricSums::confusion(std::size_t actual, std::size_t predicted) const {
    assert(has_confusion());
    return counts_[confusion_begin() + actual * classes_of(problem_) + predicted];
}

void MetricSums::count_prediction(std::size_t actual, std::size_t predicted) {
    const std::size_t classes = classes_of(problem_);
    std::uint64_t* counts = counts_.data() + confusion_begin();
    if (keeps_confusion(problem_)) {
        ++counts[actual * classes + predicted];
        return;
    }
    if (actual == predicted) ++counts[actual];
    ++counts[classes + predicted];
    ++counts[2 * classes + actual];
}

void MetricSums::add_calibration(double confidence, bool right) {
    const std::size_t bin = bin_of(confidence, calibration_bins);
    std::uint64_t* counts = counts_.data() + calibration_begin(problem_);
    ++counts[bin];
    if (right) ++counts[calibration_bins + bin];
    numbers_[confidence_sums + bin] += confidence;
}

void MetricSums::add_score(double logit, bool positive) {
    // Any rising function of the logit keeps the area. Bins of z / (1 + |z|) stay narrow in the tails, where a sure model has
    // most of its scores and where bins of the probability would hold them all.
    const double share = std::isinf(logit) ? (logit > 0 ? 1.0 : 0.0) : 0.5 + 0.5 * logit / (1 + std::abs(logit));
    ++counts_[scores_begin(problem_) + (positive ? score_bins : 0) + bin_of(share, score_bins)];
}

Metrics MetricSums::finish() const {
    Metrics metrics;
    metrics.rows = rows();
    if (metrics.rows == 0) return metrics;
    if (problem_.task == Task::regression) {
        finish_regression(metrics);
    } else {
        finish_classes(metrics);
        if (keeps_scores(problem_)) finish_scores(metrics);
    }
    return metrics;
}

void MetricSums::finish_classes(Metrics& metrics) const {
    const auto rows = static_cast<double>(metrics.rows);
    metrics.loss = numbers_[loss_sum] / rows;
    metrics.weighted_loss = ratio(numbers_[weighted_loss_sum], numbers_[weight_sum]);
    metrics.brier = numbers_[brier_sum] / rows;

    const std::size_t classes = classes_of(problem_);
    std::vector<ClassCounts> of_class(classes);
    const std::uint64_t* counts = counts_.data() + confusion_begin();
    for (std::size_t c = 0; c < classes; ++c) {
        if (!keeps_confusion(problem_)) {
            of_class[c] = {counts[c], counts[classes + c], counts[2 * classes + c]};
            continue;
        }
        of_class[c].hits = counts[c * classes + c];
        for (std::size_t other = 0; other < classes; ++other) {
            of_class[c].predicted += counts[other * classes + c];
            of_class[c].actual += counts[c * classes + other];
        }
    }
    std::uint64_t right = 0;
    double recalls = 0, f1s = 0;
    std::size_t occurring = 0, seen = 0;
    for (const ClassCounts& c : of_class) {
        right += c.hits;
        if (const auto recall = ratio(c.hits, c.actual)) recalls += *recall, ++occurring;
        if (const auto f1 = ratio(2 * c.hits, c.actual + c.predicted)) f1s += *f1, ++seen;
    }
    metrics.accuracy = static_cast<double>(right) / rows;
    metrics.balanced_accuracy = ratio(recalls, static_cast<double>(occurring));
    metrics.f1 = problem_.task == Task::binary ? ratio(2 * of_class[1].hits, of_class[1].actual + of_class[1].predicted)
                                               : ratio(f1s, static_cast<double>(seen));

    const std::uint64_t* bins = counts_.data() + calibration_begin(problem_);
    double gap = 0;
    for (std::size_t b = 0; b < calibration_bins; ++b) {
        gap += std::abs(static_cast<double>(bins[calibration_bins + b]) - numbers_[confidence_sums + b]);
    }
    metrics.calibration_error = gap / rows;
}

void MetricSums::finish_scores(Metrics& metrics) const {
    const std::uint64_t* negative = counts_.data() + scores_begin(problem_);
    const std::uint64_t* positive = negative + score_bins;
    const auto negatives = static_cast<double>(std::accumulate(negative, negative + score_bins, std::uint64_t{0}));
    const auto positives = static_cast<double>(std::accumulate(positive, positive + score_bins, std::uint64_t{0}));
    if (negatives == 0 || positives == 0) return;
    double in_order = 0;   // pairs whose positive lies in a higher bin, and half of those in one bin
    double undecided = 0;  // half of the pairs in one bin: the area can be off by no more
    double negatives_below = 0;
    for (std::size_t b = 0; b < score_bins; ++b) {
        const auto n = static_cast<double>(negative[b]);
        const auto p = static_cast<double>(positive[b]);
        in_order += p * (negatives_below + 0.5 * n);
        undecided += 0.5 * p * n;
        negatives_below += n;
    }
    metrics.auc = in_order / (negatives * positives);
    metrics.auc_error = undecided / (negatives * positives);
}

void MetricSums::finish_regression(Metrics& metrics) const {
    const auto rows = static_cast<double>(metrics.rows);
    const double mean = numbers_[target_sum] / rows;
    const double variation = numbers_[target_squared_sum] - rows * mean * mean;
    metrics.mse = numbers_[squared_sum] / rows;
    metrics.loss = metrics.mse;
    metrics.rmse = std::sqrt(*metrics.mse);
    metrics.mae = numbers_[absolute_sum] / rows;
    // Below this the difference is rounding: the targets are all equal, and R2 has no meaning.
    if (variation > 1e-12 * numbers_[target_squared_sum]) metrics.r2 = 1 - numbers_[squared_sum] / variation;
}

}  // namespace silosum

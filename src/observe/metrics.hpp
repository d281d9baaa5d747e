// What a silo says about the model's quality on one split, as sums: they add up over silos, so the metrics of all data together
// come out of one exact sum and no row leaves its silo. Counts are integers and do not depend on the order of rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "model/task.hpp"

namespace silosum {

/// Finished metrics. Empty where a metric is undefined (AUC with one class only) or does not belong to the task.
struct Metrics {
    std::uint64_t rows = 0;
    std::optional<double> loss;               // mean over rows: cross-entropy or squared error
    std::optional<double> weighted_loss;      // with the class weights of the training loss; equal to it where all are 1
    std::optional<double> accuracy;           // share of rows whose first largest output (binary: logit > 0) is the label
    std::optional<double> balanced_accuracy;  // mean recall of the classes that occur
    std::optional<double> f1;                 // binary: of the positive class; else mean over classes that occur or are predicted
    std::optional<double> auc;                // area under the ROC curve, two classes only, ties count one half
    std::optional<double> auc_error;          // largest distance of `auc` from the area that all single scores would give
    // Expected calibration error, 15 bins of equal width: binary compares the probability with how often 1 occurs,
    // classification the probability of the predicted class with how often it is right (Guo et al. 2017, equation 3).
    std::optional<double> calibration_error;
    std::optional<double> brier;  // mean squared distance of probabilities from the truth
    std::optional<double> mse, rmse, mae, r2;

    /// The metric of that name; empty where undefined. Throws UsageError for a name that is not in metric_names.
    [[nodiscard]] std::optional<double> value(const std::string& name) const;
    /// "rows" and every metric of the task in the order of metric_names; null where undefined or not finite.
    [[nodiscard]] nlohmann::ordered_json to_json(Task task) const;
};

/// Names of the metrics of a task, as in Metrics.
[[nodiscard]] std::vector<std::string> metric_names(Task task);
/// Those that have a value for the problem: the area under the ROC curve takes two classes.
[[nodiscard]] std::vector<std::string> metric_names(const Problem& problem);
/// Whether more is better: true for accuracies, F1, AUC and R2, false for losses and errors.
[[nodiscard]] bool larger_is_better(const std::string& metric);

/// The sums. `counts` and `numbers` have lengths that depend on the problem alone, so that all silos send vectors of one length.
class MetricSums {
public:
    static constexpr std::size_t score_bins = 4096;
    static constexpr std::size_t calibration_bins = 15;
    /// With more classes only hits, predictions and occurrences of each class are kept, not every pair.
    static constexpr std::size_t confusion_limit = 64;

    explicit MetricSums(const Problem& problem);
    /// The inverse of counts() and numbers(), for sums that came back from an exchange. Throws RuntimeError on wrong lengths.
    static MetricSums from_sums(const Problem& problem, std::span<const std::uint64_t> counts, std::span<const double> numbers);

    [[nodiscard]] static std::size_t count_length(const Problem& problem);
    [[nodiscard]] static std::size_t number_length(const Problem& problem);

    /// Rows of a classification or binary problem. outputs: (rows, problem.outputs()) logits; class_weights: one a class, or empty for 1.
    void add(std::span<const float> outputs, std::span<const std::int32_t> labels, std::span<const float> class_weights = {});
    /// Rows of a regression. outputs, targets: (rows).
    void add(std::span<const float> outputs, std::span<const float> targets);
    MetricSums& operator+=(const MetricSums& other);

    [[nodiscard]] std::vector<std::uint64_t> counts() const { return counts_; }
    [[nodiscard]] std::vector<double> numbers() const { return numbers_; }
    [[nodiscard]] std::uint64_t rows() const;
    /// Rows of class `actual` for which the model says `predicted`; only up to confusion_limit classes.
    [[nodiscard]] std::uint64_t confusion(std::size_t actual, std::size_t predicted) const;
    [[nodiscard]] bool has_confusion() const;
    [[nodiscard]] Metrics finish() const;

private:
    struct RowLoss {
        double loss, brier;
    };
    RowLoss add_logit(double logit, std::size_t label);
    RowLoss add_logits(std::span<const float> logits, std::size_t label);
    void count_prediction(std::size_t actual, std::size_t predicted);
    void add_calibration(double confidence, bool right);
    void add_score(double logit, bool positive);
    void finish_classes(Metrics& metrics) const;
    void finish_scores(Metrics& metrics) const;
    void finish_regression(Metrics& metrics) const;

    Problem problem_;
    std::vector<std::uint64_t> counts_;
    std::vector<double> numbers_;
};

/// Area under the ROC curve from all scores, by sorting: the share of (positive, negative) pairs in right order, ties one half.
/// Empty where one class is missing. Within a silo only: it needs every score.
[[nodiscard]] std::optional<double> area_under_roc(std::span<const float> scores, std::span<const std::int32_t> labels);

/// How a metric differs from silo to silo, over those where it is defined.
struct Spread {
    std::size_t silos = 0;
    double mean = 0, min = 0, max = 0;
    double deviation = 0;   // root of the mean squared distance from the mean, every silo counting the same
    std::size_t worst = 0;  // index into the values; the first of equals
};

/// Empty where no silo has a value. Values that are not finite count as undefined.
[[nodiscard]] std::optional<Spread> spread_over_silos(std::span<const std::optional<double>> values, bool larger_is_better);

}  // namespace silosum

// How good the model is, measured where the rows are: sums of every silo's split, added exactly over silos; no row moves.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/options.hpp"
#include "federation/federation.hpp"
#include "observe/metrics.hpp"

namespace silosum {

struct EvaluationConfig {
    std::uint64_t every = 1;
    std::string common_test;
    double target = 0;
    std::string target_metric;
    std::uint64_t patience = 0;
    std::string best_metric;
    bool compare_local = false;

    void add_to(Options& options);
};

/// Metric sums of rows [begin, end) of a split under the parameters that the network holds.
[[nodiscard]] MetricSums measure(Sequential& network, const Split& split, const Affine& features, std::size_t begin, std::size_t end);

/// What one measurement of all silos' rows of a split says.
struct SplitMetrics {
    Metrics overall;                                        // equal on all ranks
    std::vector<std::pair<std::uint32_t, Metrics>> hosted;  // of this rank's silos that have such rows; on the first rank of a group
};

/// Collective. Measures the network's parameters on one split (&Shard::test...) of every silo; empty where nobody has rows. A group of
/// ranks shares the rows of its silos. purpose: of the sum.
[[nodiscard]] std::optional<SplitMetrics> measure_silos(const RankGroups& ranks, Sums& sums, const std::string& purpose,
                                                        Sequential& network, const std::vector<Silo>& silos, Split Shard::*split);

/// Collective. Measures a test set that every rank holds; the ranks share the rows in fixed blocks.
[[nodiscard]] Metrics measure_common(const Communicator& world, Sequential& network, const Split& test, const Affine& features);

/// A test set that no silo owns.
struct CommonTest {
    Shard shard;
    Affine features;
};

/// Observer: measures every `eval.every` rounds and after the last, and writes "validation", "test" and "common_test" into the record.
class Evaluation : public Observer {
public:
    Evaluation(const EvaluationConfig& config, Federation& federation, std::optional<CommonTest> common_test);
    void after_round(RoundReport& report) override;

    /// Overall metrics of the round in hand by the names above; empty when it was not measured.
    [[nodiscard]] const std::map<std::string, Metrics>& latest() const { return latest_; }
    /// Metrics by which a run is judged: the common test if there is one, else all silos' test rows, else validation rows.
    [[nodiscard]] std::optional<Metrics> judged() const;

private:
    void measure_split(RoundReport& report, const std::string& name, Split Shard::*split, std::uint64_t SiloEntry::*rows);

    EvaluationConfig config_;
    Federation& federation_;
    std::optional<CommonTest> common_test_;
    std::map<std::string, Metrics> latest_;
};

}  // namespace silosum

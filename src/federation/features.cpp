#include "federation/features.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "comm/agreement.hpp"
#include "exchange/sums.hpp"

namespace silosum {

Moments federated_moments(const Communicator& world, Sums& sums, const Problem& problem, const std::vector<Silo>& hosted) {
    const auto over_silos = [&](const std::string& purpose, auto&& sums_of_split) {
        std::map<std::uint32_t, ExactNumbers> of_silos;
        succeed_on_all(world, [&] {
            for (const Silo& silo : hosted) {
                ExactNumbers& numbers = of_silos.emplace(silo.id(), ExactNumbers(problem.features())).first->second;
                numbers.add(sums_of_split(silo.shard(), silo.shard().train), "feature moments of silo \"" + silo.name() + "\"");
            }
        });
        return sum_exactly(sums, purpose, problem.features(), of_silos);
    };
    WordsOfSilos rows;
    for (const Silo& silo : hosted) rows[silo.id()] = {silo.shard().train.rows};
    Moments moments;
    moments.count = sums.sum(train_rows, 1, rows).front();
    moments.mean = mean_of(moments.count, over_silos("sums of features", sums_of));
    moments.squared_distances = over_silos("squared distances of features", [&](const Shard& shard, const Split& split) {
        return squared_distances(shard, split, moments.mean);
    });
    return moments;
}

Standardisation standardise(const Communicator& world, Sums& sums, const std::string& kind, const Problem& problem,
                            std::vector<Silo>& hosted) {
    Standardisation standardisation;
    standardisation.kind = kind;
    if (kind == "federated") standardisation = standardisation_of(federated_moments(world, sums, problem, hosted));
    succeed_on_all(world, [&] {
        for (Silo& silo : hosted) silo.set_features(affine_for(standardisation, silo.shard()));
    });
    return standardisation;
}

void check_class_weights(const DataConfig& config, const Problem& problem) {
    const auto& words = config.class_weights;
    if (words.empty() || words.front() == "none") return;
    require(problem.task != Task::regression, "data.class_weights = {} is not used with a regression; remove it", words.front());
    require(words.front() == "balanced" || words.size() == problem.classes, "data.class_weights: {} weights for {} classes", words.size(),
            problem.classes);
}

std::vector<float> class_weights(const Communicator& world, Sums& sums, const DataConfig& config, const Problem& problem,
                                 const std::vector<Silo>& hosted) {
    const auto& words = config.class_weights;
    if (words.empty() || words.front() == "none") return {};
    succeed_on_all(world, [&] { check_class_weights(config, problem); });
    std::vector<float> weights;
    if (words.front() != "balanced") {
        succeed_on_all(world, [&] {
            for (const auto& word : words) {
                weights.push_back(std::strtof(word.c_str(), nullptr));
                require(std::isnormal(weights.back()), "data.class_weights: {} is out of the range of single precision", word);
            }
        });
        return weights;
    }
    WordsOfSilos of_silos;
    for (const Silo& silo : hosted) {
        auto& counts = of_silos[silo.id()];
        counts.assign(problem.classes, 0);
        for (const auto label : silo.shard().train.labels) ++counts[static_cast<std::size_t>(label)];
    }
    const auto counts = sums.sum("rows of classes", problem.classes, of_silos);
    std::uint64_t rows = 0;
    for (const auto count : counts) rows += count;
    for (const auto count : counts) {
        weights.push_back(count == 0 ? 1.0F
                                     : static_cast<float>(static_cast<double>(rows) / (static_cast<double>(problem.classes * count))));
    }
    return weights;
}

}  // namespace silosum

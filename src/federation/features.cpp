#include "federation/features.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "exchange/sums.hpp"

namespace silosum {

Moments federated_moments(const Communicator& world, const Problem& problem, const std::vector<Silo>& hosted) {
    const auto over_silos = [&](auto&& sums_of_split) {
        ExactNumbers numbers(problem.features());
        succeed_on_all(world, [&] {
            for (const Silo& silo : hosted)
                numbers.add(sums_of_split(silo.shard(), silo.shard().train), "feature moments of silo \"" + silo.name() + "\"");
        });
        return sum_exactly(world, std::move(numbers));
    };
    Moments moments;
    for (const Silo& silo : hosted) moments.count += silo.shard().train.rows;
    all_reduce_sum(world, std::span<std::uint64_t>(&moments.count, 1));
    moments.mean = mean_of(moments.count, over_silos(sums_of));
    moments.squared_distances =
        over_silos([&](const Shard& shard, const Split& split) { return squared_distances(shard, split, moments.mean); });
    return moments;
}

Standardisation standardise(const Communicator& world, const std::string& kind, const Problem& problem, std::vector<Silo>& hosted) {
    Standardisation standardisation;
    standardisation.kind = kind;
    if (kind == "federated") standardisation = standardisation_of(federated_moments(world, problem, hosted));
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

std::vector<float> class_weights(const Communicator& world, const DataConfig& config, const Problem& problem,
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
    std::vector<std::uint64_t> counts(problem.classes, 0);
    for (const Silo& silo : hosted) {
        for (const auto label : silo.shard().train.labels) ++counts[static_cast<std::size_t>(label)];
    }
    all_reduce_sum(world, std::span<std::uint64_t>(counts));
    std::uint64_t rows = 0;
    for (const auto count : counts) rows += count;
    for (const auto count : counts) {
        weights.push_back(count == 0 ? 1.0F
                                     : static_cast<float>(static_cast<double>(rows) / (static_cast<double>(problem.classes * count))));
    }
    return weights;
}

}  // namespace silosum

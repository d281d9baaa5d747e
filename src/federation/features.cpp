#include "federation/features.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "comm/agreement.hpp"
#include "comm/collectives.hpp"
#include "exchange/sums.hpp"

namespace silosum {

Moments federated_moments(const Communicator& world, const Problem& problem, const std::vector<Silo>& hosted) {
    const std::size_t features = problem.features();
    ExactNumbers numbers(2 * features);
    std::vector<std::uint64_t> count(1, 0);
    succeed_on_all(world, [&] {
        for (const Silo& silo : hosted) {
            Moments moments = moments_of(silo.shard(), silo.shard().train);
            count[0] += moments.count;
            moments.sum.insert(moments.sum.end(), moments.sum_of_squares.begin(), moments.sum_of_squares.end());
            numbers.add(moments.sum, "feature moments of silo \"" + silo.name() + "\"");
        }
    });
    all_reduce_sum(world, std::span<std::uint64_t>(count));
    const auto sums = sum_exactly(world, std::move(numbers));
    const auto middle = sums.begin() + static_cast<std::ptrdiff_t>(features);
    return {.count = count[0], .sum = {sums.begin(), middle}, .sum_of_squares = {middle, sums.end()}};
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

#include "federation/selection.hpp"

#include "base/error.hpp"
#include "base/random.hpp"

namespace silosum {

void SelectionConfig::add_to(Options& options) {
    options.add("selection.silos_per_round", &silos_per_round, 0, at_least(0),
                "How many silos take part in a round, drawn uniformly without replacement; 0 means all.");
}

Selection::Selection(const SelectionConfig& config, std::size_t silos, std::uint64_t seed)
    : silos_(silos), count_(config.silos_per_round == 0 ? silos : config.silos_per_round), seed_(seed) {
    require(count_ <= silos, "selection.silos_per_round = {}: there are only {} silos; use 0 for all", config.silos_per_round, silos);
}

std::vector<std::uint32_t> Selection::choose(std::uint64_t round) const {
    return sample_without_replacement(Random(seed_, Purpose::selection, 0, static_cast<std::uint32_t>(round)), silos_, count_);
}

}  // namespace silosum

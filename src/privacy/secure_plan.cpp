#include "privacy/secure_plan.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/error.hpp"

namespace silosum {

namespace {

constexpr std::uint32_t most_complete = 64;

}  // namespace

SecurePlan plan_secure_sum(const std::vector<RosterEntry>& roster, const SecureNeeds& needs) {
    const auto silos = static_cast<std::uint32_t>(roster.size());
    const auto of_silo = domains_of(roster);
    const std::uint32_t domains = of_silo.empty() ? 0 : *std::max_element(of_silo.begin(), of_silo.end()) + 1;
    require(domains >= 3, "exchange.secure: {} silos of {} domains; in a sum of fewer than 3 each would learn what another one gave", silos,
            domains);
    SecurePlan plan;
    plan.domains = domains;
    plan.corrupt_domains = static_cast<std::uint32_t>(std::max(0.0, std::ceil(needs.corrupt * domains) - 1));
    std::vector<std::uint32_t> sizes(domains, 0);
    for (const auto domain : of_silo) ++sizes[domain];
    std::sort(sizes.begin(), sizes.end(), std::greater<>());
    plan.corrupt = std::accumulate(sizes.begin(), sizes.begin() + plan.corrupt_domains, 0U);
    plan.least_trained = std::max(3U, plan.corrupt_domains + 2);

    const bool wants_sparse = needs.graph == "harary" || (needs.graph == "auto" && silos > most_complete);
    if (wants_sparse) {
        const double corrupt_silos = (std::max(1U, plan.corrupt) + 0.5) / silos;  // the planner rounds down
        const auto found = plan_harary(silos, {.corrupt = corrupt_silos, .dropouts = needs.dropouts, .adversary = Adversary::active});
        require(found.has_value() || needs.graph == "auto",
                "exchange.graph = harary: no sparse graph of {} silos stands {} corrupt ones that lie and {:.0f} % that leave; lower "
                "exchange.corrupt or exchange.dropouts, or use the complete graph",
                silos, std::max(1U, plan.corrupt), 100 * needs.dropouts);
        if (found) {
            plan.neighbours = found->neighbours;
            plan.threshold = found->threshold;
            plan.least_members = silos - static_cast<std::uint32_t>(std::floor(needs.dropouts * silos));
            return plan;
        }
    }
    plan.neighbours = silos - 1;
    plan.threshold = std::max(plan_complete(silos).threshold, (silos + plan.corrupt) / 2 + 1);
    plan.least_members = plan.threshold;
    require(plan.threshold <= silos, "exchange.corrupt = {}: {} of {} silos may work together, which leaves nobody to protect",
            needs.corrupt, plan.corrupt, silos);
    return plan;
}

SecureTerms terms_with(const SecurePlan& plan, std::uint32_t silos) {
    SecureTerms terms;
    terms.silos = silos;
    terms.neighbours = plan.neighbours;
    terms.threshold = plan.threshold;
    terms.least_members = plan.least_members;
    terms.corrupt = plan.corrupt;
    terms.corrupt_domains = plan.corrupt_domains;
    terms.least_trained = plan.least_trained;
    return terms;
}

}  // namespace silosum

// How many silos must stay, and how many may be corrupt: from the roster and what the federation must stand.
#pragma once

#include <string>
#include <vector>

#include "privacy/mask_graph.hpp"
#include "privacy/secure_session.hpp"

namespace silosum {

struct SecureNeeds {
    std::string graph = "auto";  // auto: complete up to 64 silos, beyond that harary where one holds; complete; harary
    double corrupt = 1.0 / 3;    // share of the domains that may work together, and lie
    double dropouts = 0.05;      // share of the silos that may leave a round, for sparse graphs
};

struct SecurePlan {
    std::uint32_t domains = 0;  // in the roster
    std::uint32_t neighbours = 0;
    std::uint32_t threshold = 0;
    std::uint32_t least_members = 0;  // silos in a sum
    std::uint32_t corrupt = 0;        // silos
    std::uint32_t corrupt_domains = 0;
    std::uint32_t least_trained = 3;  // domains
};

/// The largest number of corrupt domains that is below the share, with as many of their silos as there can be; a corrupt domain counts all
/// its silos. UsageError where nothing would protect the silos: too few of them, too few domains, or no graph that holds.
[[nodiscard]] SecurePlan plan_secure_sum(const std::vector<RosterEntry>& roster, const SecureNeeds& needs);

/// Terms of so many silos with the plan's numbers; the rest is left to the caller.
[[nodiscard]] SecureTerms terms_with(const SecurePlan& plan, std::uint32_t silos);

}  // namespace silosum

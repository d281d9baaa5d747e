// Mask graphs: the planner gives the published parameters, and the graphs are what the proofs need.
#include "privacy/mask_graph.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

namespace silosum {
namespace {

Threats threats(double corrupt, double dropouts, Adversary adversary) {
    return {.corrupt = corrupt, .dropouts = dropouts, .adversary = adversary};
}

// Cases of Google's own test of graph_parameter_finder (federated-compute, fcp/secagg): sigma 40, eta 20.
TEST(PlanHarary, GivesTheParametersOfFederatedCompute) {
    const auto curious = Adversary::curious;
    const auto active = Adversary::active;
    const std::vector<std::tuple<std::uint32_t, double, double, Adversary, GraphPlan>> cases = {
        {100, 0.45, 0.45, curious, {92, 46}},  {1000, 0.33, 0.33, curious, {286, 150}}, {1000, 0.3, 0.3, active, {872, 584}},
        {1000, 0.05, 0.33, curious, {72, 24}}, {1000, 0.33, 0.05, curious, {78, 60}},   {1000, 0.05, 0.05, curious, {30, 17}},
        {1000, 0.05, 0.05, active, {52, 37}},
    };
    for (const auto& [silos, corrupt, dropouts, adversary, expected] : cases) {
        const auto plan = plan_harary(silos, threats(corrupt, dropouts, adversary));
        ASSERT_TRUE(plan) << silos << ' ' << corrupt << ' ' << dropouts;
        EXPECT_EQ(plan->neighbours, expected.neighbours) << silos << ' ' << corrupt << ' ' << dropouts;
        EXPECT_EQ(plan->threshold, expected.threshold) << silos << ' ' << corrupt << ' ' << dropouts;
    }
    EXPECT_FALSE(plan_harary(1000, threats(0.5, 0.5, curious)));
    EXPECT_FALSE(plan_harary(1000, threats(0.33, 0.33, active)));
    EXPECT_FALSE(plan_harary(0, threats(0.1, 0.1, curious)));
}

// More corruption, more dropouts or more certainty never make the graph sparser.
TEST(PlanHarary, NeverGetsSparserAsTheThreatsGrow) {
    const auto neighbours = [](std::uint32_t silos, const Threats& of) {
        const auto plan = plan_harary(silos, of);
        return plan ? plan->neighbours : silos - 1;
    };
    for (const Adversary adversary : {Adversary::curious, Adversary::active}) {
        for (const std::uint32_t silos : {65U, 100U, 257U, 1000U}) {
            std::uint32_t before = 0;
            for (int step = 0; step <= 30; ++step) {
                const std::uint32_t now = neighbours(silos, threats(0.01 * step, 0.1, adversary));
                EXPECT_GE(now, before) << silos << " silos, corrupt " << 0.01 * step;
                before = now;
            }
            before = 0;
            for (int step = 0; step <= 25; ++step) {
                const std::uint32_t now = neighbours(silos, threats(0.1, 0.01 * step, adversary));
                EXPECT_GE(now, before) << silos << " silos, dropouts " << 0.01 * step;
                before = now;
            }
            Threats of = threats(0.1, 0.1, adversary);
            before = 0;
            for (of.security_bits = 10; of.security_bits <= 60; ++of.security_bits) {
                EXPECT_GE(neighbours(silos, of), before) << of.security_bits;
                before = neighbours(silos, of);
            }
            of.security_bits = 40;
            before = 0;
            for (of.correctness_bits = 5; of.correctness_bits <= 40; ++of.correctness_bits) {
                EXPECT_GE(neighbours(silos, of), before) << of.correctness_bits;
                before = neighbours(silos, of);
            }
        }
    }
}

TEST(PlanComplete, HoldsAgainstFewerThanAThirdThatLie) {
    for (std::uint32_t silos = 2; silos <= 64; ++silos) {
        const GraphPlan plan = plan_complete(silos);
        const std::uint32_t corrupt = (silos + 2) / 3 - 1;  // ceil(n / 3) - 1
        EXPECT_GT(2 * plan.threshold, silos + corrupt) << silos;
        EXPECT_LE(plan.threshold, silos) << silos;
    }
    EXPECT_EQ(plan_complete(3), (GraphPlan{2, 3}));
}

bool is_connected_without(const MaskGraph& graph, const std::set<std::uint32_t>& gone) {
    std::vector<std::uint32_t> reached;
    std::set<std::uint32_t> seen = gone;
    for (std::uint32_t silo = 0; silo < graph.silos() && reached.empty(); ++silo) {
        if (seen.insert(silo).second) reached.push_back(silo);
    }
    for (std::size_t i = 0; i < reached.size(); ++i) {
        for (const std::uint32_t other : graph.neighbours(reached[i])) {
            if (seen.insert(other).second) reached.push_back(other);
        }
    }
    return seen.size() == graph.silos();
}

std::array<std::uint8_t, 32> seed_of(std::uint8_t number) {
    std::array<std::uint8_t, 32> seed{};
    seed[0] = number;
    return seed;
}

// k-connectivity: no k - 1 leavers part the rest. On a ring the worst are two runs of k / 2 neighbours, less one: all such pairs, and
// random sets.
TEST(HararyGraph, StaysConnectedWithoutAnyFewerThanKSilos) {
    for (std::uint32_t silos = 5; silos <= 40; silos += 5) {
        const auto order = ring_order(silos, seed_of(static_cast<std::uint8_t>(silos)));
        for (std::uint32_t k = 2; k < silos; k += 2) {
            const MaskGraph graph = MaskGraph::harary(order, k);
            for (std::uint32_t first = 0; first < silos; ++first) {
                for (std::uint32_t second = 0; second < silos; ++second) {
                    std::set<std::uint32_t> gone;
                    for (std::uint32_t i = 0; i < k / 2; ++i) gone.insert(order[(first + i) % silos]);
                    for (std::uint32_t i = 0; i + 1 < k / 2; ++i) gone.insert(order[(second + i) % silos]);
                    ASSERT_TRUE(is_connected_without(graph, gone)) << silos << " silos, " << k << " neighbours";
                }
            }
        }
    }
}

TEST(HararyGraph, IsRegularAndSymmetric) {
    for (std::uint32_t silos = 3; silos <= 40; ++silos) {
        for (std::uint32_t k = 2; k < silos; k += 2) {
            const MaskGraph graph = MaskGraph::harary(ring_order(silos, seed_of(1)), k);
            for (std::uint32_t silo = 0; silo < silos; ++silo) {
                const auto of = graph.neighbours(silo);
                ASSERT_EQ(std::set<std::uint32_t>(of.begin(), of.end()).size(), k);
                ASSERT_FALSE(graph.are_neighbours(silo, silo));
                for (const std::uint32_t other : of) ASSERT_TRUE(graph.are_neighbours(other, silo));
            }
        }
    }
}

TEST(CompleteGraph, LinksAllPairs) {
    const MaskGraph graph = MaskGraph::complete(7);
    for (std::uint32_t silo = 0; silo < 7; ++silo) {
        for (std::uint32_t other = 0; other < 7; ++other) EXPECT_EQ(graph.are_neighbours(silo, other), silo != other);
    }
}

TEST(RingOrder, IsAPermutationThatDependsOnTheSeedOnly) {
    for (const std::uint32_t silos : {1U, 2U, 65U, 1000U}) {
        const auto order = ring_order(silos, seed_of(9));
        EXPECT_EQ(std::set<std::uint32_t>(order.begin(), order.end()).size(), silos);
        EXPECT_EQ(*std::max_element(order.begin(), order.end()), silos - 1);
        EXPECT_EQ(order, ring_order(silos, seed_of(9)));
        if (silos > 2) {
            EXPECT_NE(order, ring_order(silos, seed_of(10)));
        }
    }
}

// Each of the six orders of three silos, about equally often: 5 degrees of freedom, chi-square below 25.7 but once in 10,000.
TEST(RingOrder, FavoursNoOrder) {
    std::map<std::vector<std::uint32_t>, double> counts;
    for (int draw = 0; draw < 6000; ++draw) {
        auto seed = seed_of(static_cast<std::uint8_t>(draw));
        seed[1] = static_cast<std::uint8_t>(draw >> 8);
        ++counts[ring_order(3, seed)];
    }
    double chi_square = 0;
    for (const auto& [order, count] : counts) chi_square += (count - 1000) * (count - 1000) / 1000;
    EXPECT_EQ(counts.size(), 6U);
    EXPECT_LT(chi_square, 25.7);
}

}  // namespace
}  // namespace silosum

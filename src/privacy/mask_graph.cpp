#include "privacy/mask_graph.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

#include "kernels/key_stream.hpp"

namespace silosum {

namespace {

// Logarithms of factorials: the numbers themselves leave every floating-point type at 2,000 silos.
class Factorials {
public:
    explicit Factorials(std::uint32_t most) : logs_(most + 1, 0.0L) {
        for (std::uint32_t i = 2; i <= most; ++i) logs_[i] = logs_[i - 1] + std::log(static_cast<long double>(i));
    }
    [[nodiscard]] long double log(std::uint32_t n) const { return logs_[n]; }
    [[nodiscard]] long double log_choose(std::uint32_t n, std::uint32_t k) const { return logs_[n] - logs_[k] - logs_[n - k]; }

    /// Probability that of `drawn` out of `all`, of which `marked` are marked, exactly `hits` are.
    [[nodiscard]] long double hypergeometric(std::uint32_t all, std::uint32_t marked, std::uint32_t drawn, std::uint32_t hits) const {
        if (hits > marked || hits > drawn || drawn - hits > all - marked) return 0;
        return std::exp(log_choose(marked, hits) + log_choose(all - marked, drawn - hits) - log_choose(all, drawn));
    }

private:
    std::vector<long double> logs_;
};

// (i) Honest survivors stay connected, but with 2^-(sigma + 1): no two runs of half the neighbours are all corrupt or gone.
bool stays_connected(const Factorials& factorials, std::uint32_t silos, std::uint32_t bad, std::uint32_t neighbours, int security_bits) {
    if (neighbours > bad) return true;
    const long double pairs = 0.5L * silos * (silos - neighbours - 1);
    const long double log_share =
        factorials.log(bad) + factorials.log(silos - neighbours) - factorials.log(silos) - factorials.log(bad - neighbours);
    return pairs * std::exp(log_share) < std::pow(2.0L, -(security_bits + 1));
}

// (ii) The most corrupt neighbours that a silo has, but with 2^-(sigma + 1).
std::uint32_t corrupt_neighbours(const Factorials& factorials, std::uint32_t silos, std::uint32_t corrupt, std::uint32_t neighbours,
                                 int security_bits) {
    const long double bound = std::pow(2.0L, -(security_bits + 1)) / silos;
    long double above = 0;
    for (std::uint32_t x = std::min(corrupt, neighbours); x > 0; --x) {
        above += factorials.hypergeometric(silos, corrupt, neighbours, x);
        if (above > bound) return x;
    }
    return 0;
}

// (iii) The fewest neighbours that survive, but with 2^-eta.
std::uint32_t surviving_neighbours(const Factorials& factorials, std::uint32_t silos, std::uint32_t survivors, std::uint32_t neighbours,
                                   int correctness_bits) {
    const long double bound = std::pow(2.0L, -correctness_bits) / silos;
    long double below = 0;
    for (std::uint32_t t = 0; t < neighbours; ++t) {
        below += factorials.hypergeometric(silos, survivors, neighbours, t);
        if (below > bound) return t;
    }
    return neighbours;
}

}  // namespace

std::optional<GraphPlan> plan_harary(std::uint32_t silos, const Threats& threats) {
    const bool is_active = threats.adversary == Adversary::active;
    const double most = threats.corrupt + (is_active ? 2 : 1) * threats.dropouts;
    if (silos == 0 || threats.corrupt < 0 || threats.dropouts < 0 || most > 0.9) return std::nullopt;
    const Factorials factorials(silos);
    const auto corrupt = static_cast<std::uint32_t>(std::floor(threats.corrupt * silos));
    const auto leavers = static_cast<std::uint32_t>(std::floor(threats.dropouts * silos));
    const auto survivors = static_cast<std::uint32_t>(std::ceil((1 - threats.dropouts) * silos));
    for (std::uint32_t k = 2; k + 1 < silos; k += 2) {
        if (!stays_connected(factorials, silos, corrupt + leavers, k, threats.security_bits)) continue;
        std::uint32_t too_few = corrupt_neighbours(factorials, silos, corrupt, k, threats.security_bits);
        // Who lies about dropouts gets shares of both kinds from different honest neighbours: half of them must not be enough.
        if (is_active) too_few = static_cast<std::uint32_t>(std::ceil((too_few + k - 1.25) / 2));
        const std::uint32_t enough = surviving_neighbours(factorials, silos, survivors, k, threats.correctness_bits);
        if (too_few < enough) return GraphPlan{.neighbours = k, .threshold = std::max(too_few + 1, 2U)};
    }
    return std::nullopt;
}

GraphPlan plan_complete(std::uint32_t silos) {
    return {.neighbours = silos - 1, .threshold = 2 * silos / 3 + 1};
}

MaskGraph MaskGraph::complete(std::uint32_t silos) {
    MaskGraph graph;
    graph.neighbours_.resize(silos);
    for (std::uint32_t silo = 0; silo < silos; ++silo) {
        for (std::uint32_t other = 0; other < silos; ++other) {
            if (other != silo) graph.neighbours_[silo].push_back(other);
        }
    }
    return graph;
}

MaskGraph MaskGraph::harary(std::span<const std::uint32_t> order, std::uint32_t neighbours) {
    const std::size_t silos = order.size();
    assert(neighbours % 2 == 0 && neighbours < silos);
    MaskGraph graph;
    graph.neighbours_.resize(silos);
    for (std::size_t place = 0; place < silos; ++place) {
        auto& of = graph.neighbours_[order[place]];
        for (std::size_t distance = 1; distance <= neighbours / 2; ++distance) {
            of.push_back(order[(place + distance) % silos]);
            of.push_back(order[(place + silos - distance) % silos]);
        }
        std::sort(of.begin(), of.end());
    }
    return graph;
}

bool MaskGraph::are_neighbours(std::uint32_t silo, std::uint32_t other) const {
    return std::binary_search(neighbours_[silo].begin(), neighbours_[silo].end(), other);
}

// Fisher-Yates; numbers below a limit come from whole words, those that would favour some are passed over.
std::vector<std::uint32_t> ring_order(std::uint32_t silos, std::span<const std::uint8_t, 32> seed) {
    std::vector<std::byte> key(kernels::stream_key_bytes(kernels::Cipher::chacha20));
    std::copy(seed.begin(), seed.end(), reinterpret_cast<std::uint8_t*>(key.data()));
    kernels::KeyStream stream(kernels::Cipher::chacha20, key);
    std::vector<std::uint64_t> words(64);
    std::uint64_t used = 0;
    const auto next_below = [&](std::uint64_t limit) {
        const std::uint64_t fair = ~std::uint64_t{0} - ~std::uint64_t{0} % limit;
        for (;;) {
            if (used % words.size() == 0) {
                std::fill(words.begin(), words.end(), 0);
                stream.add_to(used, std::span<std::uint64_t>(words), kernels::Sign::plus);
            }
            const std::uint64_t word = words[used++ % words.size()];
            if (word < fair) return word % limit;
        }
    };
    std::vector<std::uint32_t> order(silos);
    std::iota(order.begin(), order.end(), 0U);
    for (std::uint32_t left = silos; left > 1; --left) std::swap(order[left - 1], order[next_below(left)]);
    return order;
}

}  // namespace silosum

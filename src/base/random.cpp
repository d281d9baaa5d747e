#include "base/random.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace silosum {

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
    constexpr std::uint64_t multiplier0 = 0xD2511F53U;
    constexpr std::uint64_t multiplier1 = 0xCD9E8D57U;
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t product0 = multiplier0 * counter[0];
        const std::uint64_t product1 = multiplier1 * counter[2];
        counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(product1),
                   static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(product0)};
        key[0] += 0x9E3779B9U;
        key[1] += 0xBB67AE85U;
    }
    return counter;
}

// The purpose joins the seed in the key by one block of the generator itself, so that all 64 bits of the seed count.
Random::Random(std::uint64_t seed, Purpose purpose, std::uint32_t silo, std::uint32_t round) : silo_(silo), round_(round) {
    const auto mixed =
        philox({static_cast<std::uint32_t>(purpose), 0, 0, 0}, {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
    key_ = {mixed[0], mixed[1]};
}

std::array<std::uint32_t, 4> Random::block(std::uint64_t index) const {
    return philox({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), silo_, round_}, key_);
}

double Random::uniform(std::uint64_t i) const {
    const auto words = block(i / 2);
    const std::size_t at = (i % 2) * 2;
    const std::uint64_t bits = (static_cast<std::uint64_t>(words[at]) << 32 | words[at + 1]) >> 11;
    return static_cast<double>(bits) * 0x1.0p-53;
}

double Random::normal(std::uint64_t i) const {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform(2 * i)));
    return radius * std::cos(2.0 * std::numbers::pi * uniform(2 * i + 1));
}

std::uint32_t Random::below(std::uint64_t i, std::uint32_t bound) const {
    // 64 bits scaled down: the bias is below 2^-32 and the draw needs no loop, so index i alone decides it.
    const auto words = block(i / 2);
    const std::size_t at = (i % 2) * 2;
    // bits * bound / 2^64 with bits = 2^32 words[at] + words[at + 1]
    const std::uint64_t low = static_cast<std::uint64_t>(words[at + 1]) * bound;
    const std::uint64_t high = static_cast<std::uint64_t>(words[at]) * bound;
    return static_cast<std::uint32_t>((high + (low >> 32)) >> 32);
}

std::vector<std::uint32_t> permutation(const Random& random, std::size_t n, std::uint64_t first) {
    std::vector<std::uint32_t> order(n);
    std::iota(order.begin(), order.end(), 0U);
    for (std::size_t left = n; left > 1; --left) {
        std::swap(order[left - 1], order[random.below(first + (n - left), static_cast<std::uint32_t>(left))]);
    }
    return order;
}

std::vector<std::uint32_t> sample_without_replacement(const Random& random, std::size_t n, std::size_t m) {
    std::vector<std::uint32_t> order(n);
    std::iota(order.begin(), order.end(), 0U);
    m = std::min(m, n);
    for (std::size_t i = 0; i < m; ++i) {
        std::swap(order[i], order[i + random.below(i, static_cast<std::uint32_t>(n - i))]);
    }
    order.resize(m);
    std::sort(order.begin(), order.end());
    return order;
}

}  // namespace silosum

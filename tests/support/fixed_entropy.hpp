// Random bytes that are the same in every run: for tests only.
#pragma once

#include <cstdint>
#include <span>

#include "privacy/crypto.hpp"

namespace silosum {

class FixedEntropy : public crypto::Entropy {
public:
    explicit FixedEntropy(std::uint64_t seed) : state_(seed) {}
    void fill(std::span<std::uint8_t> bytes) override {
        for (std::uint8_t& byte : bytes) {  // splitmix64 (Steele et al. 2014)
            state_ += 0x9E3779B97F4A7C15;
            std::uint64_t z = state_;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            byte = static_cast<std::uint8_t>(z >> 56);
        }
    }

private:
    std::uint64_t state_;
};

}  // namespace silosum

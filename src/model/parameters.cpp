#include "model/parameters.hpp"

#include <array>
#include <bit>
#include <cstdint>

#include <fmt/ranges.h>

#include "base/sha256.hpp"

namespace silosum {

std::size_t Tensor::size() const {
    std::size_t product = 1;
    for (const std::size_t extent : shape) product *= extent;
    return product;
}

void Layout::add(std::string name, std::vector<std::size_t> shape) {
    tensors.push_back({std::move(name), std::move(shape), size()});
}

std::string Layout::text() const {
    std::string lines;
    for (const auto& tensor : tensors) lines += fmt::format("{} {}\n", tensor.name, fmt::join(tensor.shape, "x"));
    return lines;
}

std::string Parameters::sha256() const {
    return sha256_of(values.span());
}

std::string sha256_of(std::span<const float> values) {
    if constexpr (std::endian::native == std::endian::little) return sha256_hex(std::as_bytes(values));
    Sha256 hash;
    for (const float value : values) {
        const auto bits = std::bit_cast<std::uint32_t>(value);
        std::array<std::byte, 4> bytes{};
        for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<std::byte>(bits >> (8 * i));
        hash.add(bytes);
    }
    return hash.hex();
}

}  // namespace silosum

// The model as one flat float32 vector, and the layout that names its parts as PyTorch would.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/buffer.hpp"

namespace silosum {

/// One weight array of the model. Shapes are PyTorch's: dense (out, in), convolution (out, in, height, width).
struct Tensor {
    std::string name;
    std::vector<std::size_t> shape;
    std::size_t offset = 0;  // of its first value in the flat vector

    [[nodiscard]] std::size_t size() const;
    friend bool operator==(const Tensor&, const Tensor&) = default;
};

/// The tensors of a model in the order of the flat vector, without gaps.
struct Layout {
    std::vector<Tensor> tensors;

    [[nodiscard]] std::size_t size() const { return tensors.empty() ? 0 : tensors.back().offset + tensors.back().size(); }
    void add(std::string name, std::vector<std::size_t> shape);
    /// One line a tensor: "0.weight 200x784". Equal texts mean equal layouts.
    [[nodiscard]] std::string text() const;
    friend bool operator==(const Layout&, const Layout&) = default;
};

struct Parameters {
    Layout layout;
    Buffer<float> values;  // layout.size() floats

    Parameters() = default;
    /// All values 0.
    explicit Parameters(Layout of) : layout(std::move(of)), values(layout.size()) {}
    Parameters(Layout of, Buffer<float> in) : layout(std::move(of)), values(std::move(in)) {}

    /// SHA-256 of the values as little-endian float32 in layout order: the model's identity on every machine and in every file format.
    [[nodiscard]] std::string sha256() const;
};

/// The same hash for values that lie elsewhere.
[[nodiscard]] std::string sha256_of(std::span<const float> values);

}  // namespace silosum

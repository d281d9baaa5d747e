// The safetensors format: named float32 tensors that PyTorch, JAX and others read without running code from the file.
// Layout: 8 bytes little-endian length of the header, a JSON header {name: {dtype, shape, data_offsets}}, the raw values.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace silosum::safetensors {

/// A tensor to write; values are row-major and belong to the caller.
struct View {
    std::string name;
    std::vector<std::size_t> shape;
    std::span<const float> values;
};

/// A tensor that was read.
struct Tensor {
    std::string name;
    std::vector<std::size_t> shape;
    std::vector<float> values;
};

using Metadata = std::map<std::string, std::string>;

struct File {
    std::vector<Tensor> tensors;  // in the order of their values in the file
    Metadata metadata;
};

/// Writes the tensors in the given order, whole or not at all. RuntimeError where the file cannot be written.
void write(const std::filesystem::path& path, std::span<const View> tensors, const Metadata& metadata);

/// Reads and checks everything: lengths, offsets without gaps or overlaps, shapes that fit their values, float32 only.
/// DataError names what is wrong.
[[nodiscard]] File read(const std::filesystem::path& path);

}  // namespace silosum::safetensors

// MNIST-style data: four IDX files of images and labels, plain or compressed with gzip.
// Format: http://yann.lecun.com/exdb/mnist, section "file formats".
#pragma once

#include <filesystem>

#include "data/source.hpp"

namespace silosum {

/// Reads train-images-idx3-ubyte, train-labels-idx1-ubyte and the t10k pair (each maybe with .gz, maybe with '.' for '-' before idx) from
/// the folder. The t10k pair becomes the common test set; it may be absent. Classes: the largest label and one.
[[nodiscard]] Source import_mnist(const std::filesystem::path& folder);

}  // namespace silosum

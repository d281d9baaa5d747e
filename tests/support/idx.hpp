// IDX files of small images for tests: pixel i of a file is i mod 256, label i is i mod 10.
#pragma once

#include <cstddef>
#include <string>

namespace silosum {

inline std::string idx_header(unsigned char dimensions) {
    return {0, 0, 8, static_cast<char>(dimensions)};
}

inline std::string big_endian(std::size_t value) {
    return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8), static_cast<char>(value)};
}

inline std::string idx_images(std::size_t count, std::size_t height, std::size_t width) {
    std::string bytes = idx_header(3) + big_endian(count) + big_endian(height) + big_endian(width);
    for (std::size_t i = 0; i < count * height * width; ++i) bytes += static_cast<char>(i % 256);
    return bytes;
}

inline std::string idx_labels(std::size_t count) {
    std::string bytes = idx_header(1) + big_endian(count);
    for (std::size_t i = 0; i < count; ++i) bytes += static_cast<char>(i % 10);
    return bytes;
}

}  // namespace silosum

// Packing of convolution weights and padding of images; the arithmetic is in conv2d_cpu.cpp.
#include "kernels/conv2d.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "kernels/share.hpp"

namespace silosum::kernels {
namespace {

/// Place of weight (out, c, ky, kx) in the packed array.
std::size_t packed_index(const ConvShape& shape, std::size_t out, std::size_t c, std::size_t ky, std::size_t kx) {
    const std::size_t tap = (ky * shape.kernel_width + kx) * shape.in_channels + c;
    return (out / panel_width * shape.taps() + tap) * panel_width + out % panel_width;
}

/// body(place in PyTorch's order, place in the packed array) for every weight.
template <class Body>
void for_each_weight(const ConvShape& shape, const Body& body) {
    std::size_t plain = 0;
    for (std::size_t out = 0; out < shape.out_channels; ++out) {
        for (std::size_t c = 0; c < shape.in_channels; ++c) {
            for (std::size_t ky = 0; ky < shape.kernel_height; ++ky) {
                for (std::size_t kx = 0; kx < shape.kernel_width; ++kx) body(plain++, packed_index(shape, out, c, ky, kx));
            }
        }
    }
}

}  // namespace

std::size_t ConvShape::scratch_size() const {
    return (height + kernel_height - 1) * (width + kernel_width - 1) * out_channels;
}

void conv2d_pack(const ConvShape& shape, std::span<const float> weights, std::span<float> packed) {
    assert(weights.size() == shape.out_channels * shape.taps() && packed.size() == shape.packed_size());
    std::fill(packed.begin(), packed.end(), 0.0F);
    for_each_weight(shape, [&](std::size_t plain, std::size_t place) { packed[place] = weights[plain]; });
}

void conv2d_unpack(const ConvShape& shape, std::span<const float> packed, std::span<float> weights) {
    assert(weights.size() == shape.out_channels * shape.taps() && packed.size() == shape.packed_size());
    for_each_weight(shape, [&](std::size_t plain, std::size_t place) { weights[plain] = packed[place]; });
}

void conv2d_flip(const ConvShape& shape, const float* packed, float* flipped, const Threads& /*threads*/) {
    // flipped[p][ky][kx][out][16]: panels of input channels, the kernel turned by half a turn.
    float* to = flipped;
    for (std::size_t channel = 0; channel < shape.in_channels; channel += panel_width) {
        const std::size_t columns = std::min(panel_width, shape.in_channels - channel);
        for (std::size_t ky = shape.kernel_height; ky-- > 0;) {
            for (std::size_t kx = shape.kernel_width; kx-- > 0;) {
                for (std::size_t out = 0; out < shape.out_channels; ++out, to += panel_width) {
                    const float* from = packed + packed_index(shape, out, channel, ky, kx);
                    for (std::size_t j = 0; j < columns; ++j) to[j] = from[j * panel_width];
                    std::fill(to + columns, to + panel_width, 0.0F);
                }
            }
        }
    }
}

void conv2d_pad(const ConvShape& shape, std::size_t samples, const float* x, float* padded, const Threads& threads) {
    const std::size_t row = shape.width * shape.in_channels;
    const std::size_t side = shape.padding * shape.in_channels;
    const std::size_t padded_row = row + 2 * side;
    const auto pad = [&](std::size_t begin, std::size_t end) {
        for (std::size_t sample = begin; sample < end; ++sample) {
            const float* from = x + sample * shape.in_size();
            float* to = padded + sample * shape.padded_size();
            std::fill_n(to, shape.padding * padded_row, 0.0F);
            to += shape.padding * padded_row;
            for (std::size_t y = 0; y < shape.height; ++y, from += row, to += padded_row) {
                std::fill_n(to, side, 0.0F);
                std::memcpy(to + side, from, row * sizeof(float));
                std::fill_n(to + side + row, side, 0.0F);
            }
            std::fill_n(to, shape.padding * padded_row, 0.0F);
        }
    };
    share(threads, samples, shape.padded_size(), pad);
}

}  // namespace silosum::kernels

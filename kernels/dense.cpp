// Packing of dense weights; the arithmetic is in dense_cpu.cpp.
#include "kernels/dense.hpp"

#include <algorithm>
#include <cassert>

namespace silosum::kernels {

void dense_pack(const DenseShape& shape, std::span<const float> weights, std::span<float> packed,
                std::span<const std::uint32_t> input_order) {
    assert(weights.size() == shape.in * shape.out && packed.size() == shape.packed_size());
    assert(input_order.empty() || input_order.size() == shape.in);
    for (std::size_t panel = 0; panel < shape.panels(); ++panel) {
        const float* first = weights.data() + panel * panel_width * shape.in;
        const std::size_t columns = std::min(panel_width, shape.out - panel * panel_width);
        for (std::size_t k = 0; k < shape.in; ++k) {
            const std::size_t input = input_order.empty() ? k : input_order[k];
            float* row = packed.data() + (panel * shape.in + k) * panel_width;
            for (std::size_t j = 0; j < columns; ++j) row[j] = first[j * shape.in + input];
            std::fill(row + columns, row + panel_width, 0.0F);
        }
    }
}

void dense_unpack(const DenseShape& shape, std::span<const float> packed, std::span<float> weights,
                  std::span<const std::uint32_t> input_order) {
    assert(weights.size() == shape.in * shape.out && packed.size() == shape.packed_size());
    assert(input_order.empty() || input_order.size() == shape.in);
    for (std::size_t panel = 0; panel < shape.panels(); ++panel) {
        float* first = weights.data() + panel * panel_width * shape.in;
        const std::size_t columns = std::min(panel_width, shape.out - panel * panel_width);
        for (std::size_t k = 0; k < shape.in; ++k) {
            const std::size_t input = input_order.empty() ? k : input_order[k];
            const float* row = packed.data() + (panel * shape.in + k) * panel_width;
            for (std::size_t j = 0; j < columns; ++j) first[j * shape.in + input] = row[j];
        }
    }
}

}  // namespace silosum::kernels

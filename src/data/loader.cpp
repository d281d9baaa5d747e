#include "data/loader.hpp"

#include <cassert>

#include "kernels/gather.hpp"

namespace silosum {

void gather(const Split& split, const Affine& affine, std::span<const std::uint32_t> rows, float* batch) {
    assert(!affine.per_feature || affine.scale.size() == split.features);
    const auto copy = [&](const auto& values) {
        kernels::gather_rows(rows.size(), split.features, values.data(), rows.data(), affine.scale.data(), affine.offset.data(),
                             affine.per_feature, batch);
    };
    if (split.is_bytes()) {
        copy(split.bytes);
    } else {
        copy(split.floats);
    }
}

}  // namespace silosum

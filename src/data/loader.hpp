// From rows of a split to a batch of floats.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/buffer.hpp"
#include "data/shard.hpp"
#include "device/stream.hpp"

namespace silosum {

/// batch (rows, features): the named rows through the affine map. Row numbers must be below split.rows.
void gather(const Split& split, const Affine& affine, std::span<const std::uint32_t> rows, float* batch);

/// A split where the kernels of a stream can read it: itself on the processor, a copy in the memory of a GPU.
class Loader {
public:
    /// `split` must outlive it.
    Loader(const Split& split, const Affine& affine, const Stream& stream);

    /// x (rows, features), labels (rows), targets (rows): the named rows. Everything is of the stream; labels and targets may be null where
    /// the split has none.
    void gather(std::span<const std::uint32_t> rows, float* x, std::int32_t* labels, float* targets) const;

private:
    Stream stream_;
    std::size_t features_;
    bool is_bytes_;
    bool per_feature_;
    const std::uint8_t* bytes_;
    const float* floats_;
    const std::int32_t* labels_;
    const float* targets_;
    const float* scale_;
    const float* offset_;
    std::vector<std::shared_ptr<void>> copies_;
    std::shared_ptr<const Affine> affine_;
};

}  // namespace silosum

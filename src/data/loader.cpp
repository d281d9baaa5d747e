#include "data/loader.hpp"

#include <cassert>

#include "kernels/gather.hpp"

namespace silosum {

void gather(const Split& split, const Affine& affine, std::span<const std::uint32_t> rows, float* batch) {
    assert(!affine.per_feature || affine.scale.size() == split.features);
    const auto copy = [&](const auto& values) {
        kernels::gather_rows(rows.size(), split.features, values.data(), rows.data(), affine.scale.data(), affine.offset.data(),
                             affine.per_feature, batch, Threads());
    };
    if (split.is_bytes()) {
        copy(split.bytes);
    } else {
        copy(split.floats);
    }
}

Loader::Loader(const Split& split, const Affine& affine, const Stream& stream)
    : stream_(stream),
      features_(split.features),
      is_bytes_(split.is_bytes()),
      per_feature_(affine.per_feature),
      affine_(std::make_shared<const Affine>(affine)) {
    assert(!affine.per_feature || affine.scale.size() == split.features);
    const auto here = [&]<class T>(const std::vector<T>& values) -> const T* {
        if (values.empty()) return nullptr;
        if (!stream_.is_cuda()) return values.data();
        auto copy = std::make_shared<Buffer<T>>(stream_.allocate<T>(values.size()));
        stream_.upload(std::span<const T>(values), copy->span());
        copies_.push_back(copy);
        return copy->data();
    };
    bytes_ = here(split.bytes);
    floats_ = here(split.floats);
    labels_ = here(split.labels);
    targets_ = here(split.targets);
    scale_ = here(affine_->scale);
    offset_ = here(affine_->offset);
    stream_.wait();
}

void Loader::gather(std::span<const std::uint32_t> rows, float* x, std::int32_t* labels, float* targets) const {
    stream_.run([&](const auto& on) {
        if (is_bytes_) {
            kernels::gather_rows(rows.size(), features_, bytes_, rows.data(), scale_, offset_, per_feature_, x, on);
        } else {
            kernels::gather_rows(rows.size(), features_, floats_, rows.data(), scale_, offset_, per_feature_, x, on);
        }
        if (labels_ != nullptr) kernels::gather_values(rows.size(), labels_, rows.data(), labels, on);
        if (targets_ != nullptr) kernels::gather_values(rows.size(), targets_, rows.data(), targets, on);
    });
}

}  // namespace silosum

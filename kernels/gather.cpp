// Vectorised conversion of rows into a batch.
#include "kernels/simd.hpp"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gather.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
//
#include "kernels/gather.hpp"
#include "kernels/steps-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace silosum::kernels {
namespace HWY_NAMESPACE {

template <class D>
HWY_INLINE hn::Vec<D> load_as_floats(D d, const float* x) {
    return hn::LoadU(d, x);
}
template <class D>
HWY_INLINE hn::Vec<D> load_as_floats(D d, const std::uint8_t* x) {
    return hn::ConvertTo(d, hn::PromoteTo(hn::RebindToSigned<D>(), hn::LoadU(hn::Rebind<std::uint8_t, D>(), x)));
}

/// body(i) for vectors that cover [0, n), n >= lanes. The last one overlaps the one before: the same values once more.
template <std::size_t lanes, class Body>
HWY_INLINE void over_row(std::size_t n, const Body& body) {
    for (std::size_t i = 0; i + lanes <= n; i += lanes) body(i);
    if (n % lanes != 0) body(n - lanes);
}

/// For rows of at least as many features as D has lanes.
template <class D, class T>
HWY_INLINE void convert_rows(D d, std::size_t rows, std::size_t features, const T* x, const std::uint32_t* order, const float* scale,
                             const float* offset, bool per_feature, float* batch) {
    const auto first_scale = hn::Set(d, scale[0]);
    const auto first_offset = hn::Set(d, offset[0]);
    for (std::size_t r = 0; r < rows; ++r) {
        const T* row = x + features * order[r];
        float* out = batch + features * r;
        const auto by_one = [=](std::size_t i)
                                HWY_ATTR { hn::StoreU(hn::MulAdd(load_as_floats(d, row + i), first_scale, first_offset), d, out + i); };
        const auto by_feature = [=](std::size_t i) HWY_ATTR {
            hn::StoreU(hn::MulAdd(load_as_floats(d, row + i), hn::LoadU(d, scale + i), hn::LoadU(d, offset + i)), d, out + i);
        };
        if (per_feature) {
            over_row<hn::MaxLanes(D())>(features, by_feature);
        } else {
            over_row<hn::MaxLanes(D())>(features, by_one);
        }
    }
}

/// Vectors as wide as a row allows.
template <class... Arguments>
HWY_INLINE void convert(std::size_t rows, std::size_t features, const Arguments&... arguments) {
    if (features >= float_lanes) return convert_rows(Floats(), rows, features, arguments...);
    if (features >= 4) return convert_rows(hn::CappedTag<float, 4>(), rows, features, arguments...);
    convert_rows(hn::CappedTag<float, 1>(), rows, features, arguments...);
}

void gather_bytes(std::size_t rows, std::size_t features, const std::uint8_t* x, const std::uint32_t* order, const float* scale,
                  const float* offset, bool per_feature, float* batch) {
    convert(rows, features, x, order, scale, offset, per_feature, batch);
}
void gather_floats(std::size_t rows, std::size_t features, const float* x, const std::uint32_t* order, const float* scale,
                   const float* offset, bool per_feature, float* batch) {
    convert(rows, features, x, order, scale, offset, per_feature, batch);
}

}  // namespace HWY_NAMESPACE
}  // namespace silosum::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace silosum::kernels {
namespace {

HWY_EXPORT(gather_bytes);
HWY_EXPORT(gather_floats);

}  // namespace

void gather_rows(std::size_t rows, std::size_t features, const std::uint8_t* x, const std::uint32_t* order, const float* scale,
                 const float* offset, bool per_feature, float* batch, const Threads& /*threads*/) {
    HWY_DYNAMIC_DISPATCH(gather_bytes)(rows, features, x, order, scale, offset, per_feature, batch);
}
void gather_rows(std::size_t rows, std::size_t features, const float* x, const std::uint32_t* order, const float* scale,
                 const float* offset, bool per_feature, float* batch, const Threads& /*threads*/) {
    HWY_DYNAMIC_DISPATCH(gather_floats)(rows, features, x, order, scale, offset, per_feature, batch);
}

void gather_values(std::size_t rows, const std::int32_t* values, const std::uint32_t* order, std::int32_t* chosen,
                   const Threads& /*threads*/) {
    for (std::size_t r = 0; r < rows; ++r) chosen[r] = values[order[r]];
}
void gather_values(std::size_t rows, const float* values, const std::uint32_t* order, float* chosen, const Threads& /*threads*/) {
    for (std::size_t r = 0; r < rows; ++r) chosen[r] = values[order[r]];
}

}  // namespace silosum::kernels
#endif

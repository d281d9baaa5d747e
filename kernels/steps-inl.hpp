// Loops over arrays in whole vectors, compiled once for each instruction set. What is left at the end goes through padded copies,
// so that every element takes the same instructions wherever it lies.
#if defined(SILOSUM_KERNELS_STEPS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef SILOSUM_KERNELS_STEPS_INL
#undef SILOSUM_KERNELS_STEPS_INL
#else
#define SILOSUM_KERNELS_STEPS_INL
#endif

#include <cstddef>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace silosum::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Doubles = hn::ScalableTag<double>;
using HalfFloats = hn::Rebind<float, Doubles>;  // as many floats as a vector holds doubles
inline constexpr std::size_t float_lanes = hn::MaxLanes(Floats());
inline constexpr std::size_t double_lanes = hn::MaxLanes(Doubles());

template <class T, std::size_t size>
struct Padded {
    alignas(64) T values[size] = {};
};

template <class T>
HWY_INLINE void copy_back(std::size_t n, const T* from, T* to) {
    std::memcpy(to, from, n * sizeof(T));
}
template <class T>
HWY_INLINE void copy_back(std::size_t, const T*, const T*) {}

template <std::size_t step, class Body, std::size_t... k, class... T>
HWY_NOINLINE void last_step(std::size_t n, const Body& body, std::index_sequence<k...>, T*... arrays) {
    std::tuple<Padded<std::remove_const_t<T>, step>...> copies;
    (std::memcpy(std::get<k>(copies).values, arrays, n * sizeof(T)), ...);
    body(static_cast<T*>(std::get<k>(copies).values)...);
    (copy_back(n, std::get<k>(copies).values, arrays), ...);
}

/// Calls body(arrays + i...) for i = 0, step, 2 step...; body handles `step` elements of each array. It must not care about the position,
/// and must not touch the arrays but through its arguments. Arrays of const values are not written back.
template <std::size_t step, class Body, class... T>
HWY_INLINE void in_steps(std::size_t n, const Body& body, T*... arrays) {
    std::size_t i = 0;
    for (; i + step <= n; i += step) body((arrays + i)...);
    if (i < n) last_step<step>(n - i, body, std::index_sequence_for<T...>(), (arrays + i)...);
}

HWY_INLINE hn::Vec<Doubles> load_doubles(const float* x) {
    return hn::PromoteTo(Doubles(), hn::LoadU(HalfFloats(), x));
}

}  // namespace HWY_NAMESPACE
}  // namespace silosum::kernels
HWY_AFTER_NAMESPACE();

#endif  // SILOSUM_KERNELS_STEPS_INL

// Vectors of e^x for x <= 0 and what follows from it, compiled once for each instruction set. Own code rather than a library's: the bits
// of a trained model must not change with the version of one.
#if defined(SILOSUM_KERNELS_EXPONENTIAL_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef SILOSUM_KERNELS_EXPONENTIAL_INL
#undef SILOSUM_KERNELS_EXPONENTIAL_INL
#else
#define SILOSUM_KERNELS_EXPONENTIAL_INL
#endif

#include <hwy/highway.h>
#include "kernels/steps-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace silosum::kernels {
namespace HWY_NAMESPACE {

/// e^x = scale + scale * rest, with scale a power of two.
struct SplitExponential {
    hn::Vec<Floats> scale;
    hn::Vec<Floats> rest;  // e^r - 1, |r| <= ln(2) / 2
};

inline constexpr float exponential_lowest = -87.0F;  // e^-87 is 1.6e-38, still a normal number

/// For -87 <= x <= 0; anything for x below, NaN for NaN.
HWY_INLINE SplitExponential split_exponential(hn::Vec<Floats> x) {
    const Floats d;
    const hn::RebindToSigned<Floats> di;
    // x = n ln 2 + r. Adding 1.5 * 2^23 rounds to an integer, which the last bits then hold.
    const auto rounder = hn::Set(d, 0x1.8p23F);
    const auto shifted = hn::MulAdd(x, hn::Set(d, 1.44269504F), rounder);
    const auto n = hn::Sub(shifted, rounder);
    // ln 2 in two parts (Cody and Waite): the first has 9 bits, so that n times it is exact without a fused multiply-add, too.
    auto r = hn::NegMulAdd(n, hn::Set(d, 0.693359375F), x);
    r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4F), r);
    // Taylor to r^7; the next term is below 6e-9 of the sum, a tenth of the rounding.
    const auto r2 = hn::Mul(r, r);
    const auto p67 = hn::MulAdd(r, hn::Set(d, 1.0F / 5040), hn::Set(d, 1.0F / 720));
    const auto p45 = hn::MulAdd(r, hn::Set(d, 1.0F / 120), hn::Set(d, 1.0F / 24));
    const auto p23 = hn::MulAdd(r, hn::Set(d, 1.0F / 6), hn::Set(d, 0.5F));
    const auto p2 = hn::MulAdd(hn::MulAdd(p67, r2, p45), r2, p23);
    const auto exponent = hn::Add(hn::ShiftLeft<23>(hn::BitCast(di, shifted)), hn::Set(di, 127 << 23));
    return {hn::BitCast(d, exponent), hn::MulAdd(p2, r2, r)};
}

/// e^x for x <= 0 to about 1 ulp; 0 for x < -87, NaN for NaN.
HWY_INLINE hn::Vec<Floats> exponential(hn::Vec<Floats> x) {
    const auto parts = split_exponential(x);
    const auto tiny = hn::Lt(x, hn::Set(Floats(), exponential_lowest));
    return hn::IfThenZeroElse(tiny, hn::MulAdd(parts.scale, parts.rest, parts.scale));
}

/// 1 / (1 + e^-x)
HWY_INLINE hn::Vec<Floats> sigmoid(hn::Vec<Floats> x) {
    const Floats d;
    const auto one = hn::Set(d, 1.0F);
    const auto e = exponential(hn::Neg(hn::Abs(x)));
    return hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one), hn::Add(one, e));
}

/// -(e^-2|x| - 1) / (e^-2|x| + 1) with the sign of x: no cancellation near 0.
HWY_INLINE hn::Vec<Floats> hyperbolic_tangent(hn::Vec<Floats> x) {
    const Floats d;
    const auto lowest = hn::Set(d, exponential_lowest);
    const auto doubled = hn::Mul(hn::Set(d, -2.0F), hn::Abs(x));
    const auto parts = split_exponential(hn::IfThenElse(hn::Lt(doubled, lowest), lowest, doubled));
    const auto less_one = hn::MulAdd(parts.scale, parts.rest, hn::Sub(parts.scale, hn::Set(d, 1.0F)));
    return hn::CopySign(hn::Div(less_one, hn::Add(less_one, hn::Set(d, 2.0F))), x);
}

}  // namespace HWY_NAMESPACE
}  // namespace silosum::kernels
HWY_AFTER_NAMESPACE();

#endif  // SILOSUM_KERNELS_EXPONENTIAL_INL

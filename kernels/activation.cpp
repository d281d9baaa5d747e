// Vectorised activations, and dropout with the random words of many Philox blocks made at once.
#include "kernels/simd.hpp"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/activation.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
//
#include <algorithm>
#include <cmath>

#include "kernels/activation.hpp"
#include "kernels/exponential-inl.hpp"
#include "kernels/parallel.hpp"
#include "kernels/steps-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace silosum::kernels {
namespace HWY_NAMESPACE {

using FloatVector = hn::Vec<Floats>;

/// y = f(x), element by element.
template <class Function>
HWY_INLINE void map(std::size_t n, const Function& f, const float* x, float* y) {
    const Floats d;
    in_steps<float_lanes>(
        n, [=](const float* a, float* b) HWY_ATTR { hn::StoreU(f(hn::LoadU(d, a)), d, b); }, x, y);
}
/// z = f(x, y)
template <class Function>
HWY_INLINE void map(std::size_t n, const Function& f, const float* x, const float* y, float* z) {
    const Floats d;
    const auto body = [=](const float* a, const float* b, float* c) HWY_ATTR { hn::StoreU(f(hn::LoadU(d, a), hn::LoadU(d, b)), d, c); };
    in_steps<float_lanes>(n, body, x, y, z);
}

// A comparison rather than a maximum: NaN must stay NaN on every processor, so that a silo with bad numbers is noticed.
void relu_map(std::size_t n, const float* x, float* y) {
    map(
        n, [](FloatVector v) HWY_ATTR { return hn::IfThenZeroElse(hn::Lt(v, hn::Zero(Floats())), v); }, x, y);
}
void relu_gradient(std::size_t n, const float* y, const float* dy, float* dx) {
    const auto f = [](FloatVector out, FloatVector g) HWY_ATTR { return hn::IfThenElseZero(hn::Gt(out, hn::Zero(Floats())), g); };
    map(n, f, y, dy, dx);
}

void tanh_map(std::size_t n, const float* x, float* y) {
    map(
        n, [](FloatVector v) HWY_ATTR { return hyperbolic_tangent(v); }, x, y);
}
void tanh_gradient(std::size_t n, const float* y, const float* dy, float* dx) {
    const auto f = [](FloatVector out, FloatVector g) HWY_ATTR {
        const auto one = hn::Set(Floats(), 1.0F);  // 1 - y^2 as a product: no cancellation near y = 1
        return hn::Mul(g, hn::Mul(hn::Sub(one, out), hn::Add(one, out)));
    };
    map(n, f, y, dy, dx);
}

void sigmoid_map(std::size_t n, const float* x, float* y) {
    map(
        n, [](FloatVector v) HWY_ATTR { return sigmoid(v); }, x, y);
}
void sigmoid_gradient(std::size_t n, const float* y, const float* dy, float* dx) {
    const auto f = [](FloatVector out, FloatVector g) HWY_ATTR { return hn::Mul(g, hn::Mul(out, hn::Sub(hn::Set(Floats(), 1.0F), out))); };
    map(n, f, y, dy, dx);
}

// 0.5 (1 + tanh(u)) = sigmoid(2 u) with 2 u = gelu_slope x (1 + 0.044715 x^2). Beyond |x| = 64 the sigmoid is 0 or 1; the bound keeps x^2
// finite.
inline constexpr float gelu_slope = 1.59576912F;  // 2 sqrt(2 / pi)
inline constexpr float gelu_cubic = 0.044715F;

HWY_INLINE FloatVector bounded(FloatVector x) {
    const Floats d;
    return hn::Min(hn::Max(x, hn::Set(d, -64.0F)), hn::Set(d, 64.0F));
}
HWY_INLINE FloatVector gelu_gate(FloatVector x) {
    const Floats d;
    const auto slope = hn::MulAdd(hn::Set(d, gelu_cubic), hn::Mul(x, x), hn::Set(d, 1.0F));
    return sigmoid(hn::Mul(hn::Set(d, gelu_slope), hn::Mul(x, slope)));
}

void gelu_map(std::size_t n, const float* x, float* y) {
    map(
        n, [](FloatVector v) HWY_ATTR { return hn::Mul(v, gelu_gate(bounded(v))); }, x, y);
}
void gelu_gradient(std::size_t n, const float* x, const float* dy, float* dx) {
    const auto f = [](FloatVector v, FloatVector g) HWY_ATTR {
        const Floats d;
        const auto one = hn::Set(d, 1.0F);
        const auto at = bounded(v);
        const auto gate = gelu_gate(at);
        const auto slope = hn::Mul(hn::Set(d, gelu_slope), hn::MulAdd(hn::Set(d, 3 * gelu_cubic), hn::Mul(at, at), one));
        const auto gate_slope = hn::Mul(hn::Mul(gate, hn::Sub(one, gate)), slope);
        return hn::Mul(g, hn::MulAdd(at, gate_slope, gate));
    };
    map(n, f, x, dy, dx);
}

/// Words of the given number of blocks, rounded up to a multiple of double_lanes.
#if HWY_TARGET == HWY_SCALAR
void philox_words(const Random& random, std::uint64_t first_block, std::size_t blocks, std::uint32_t* words) {
    for (std::size_t b = 0; b < blocks; ++b) {
        const auto block = random.block(first_block + b);
        std::copy(block.begin(), block.end(), words + 4 * b);
    }
}
#else
/// One block a lane, each word in the low half of 64 bits; what the high halves hold does not matter.
void philox_words(const Random& random, std::uint64_t first_block, std::size_t blocks, std::uint32_t* words) {
    const hn::ScalableTag<std::uint64_t> d;
    const hn::Repartition<std::uint32_t, decltype(d)> d32;
    const hn::Rebind<std::uint32_t, decltype(d)> half;
    const auto multiply = [=](std::uint32_t factor, auto v) HWY_ATTR { return hn::MulEven(hn::Set(d32, factor), hn::BitCast(d32, v)); };
    const auto low = [=](auto v) HWY_ATTR { return hn::TruncateTo(half, v); };
    auto index = hn::Iota(d, first_block);
    for (std::size_t b = 0; b < blocks; b += hn::MaxLanes(d), index = hn::Add(index, hn::Set(d, hn::MaxLanes(d)))) {
        auto c0 = index;
        auto c1 = hn::ShiftRight<32>(c0);
        auto c2 = hn::Set(d, random.silo());
        auto c3 = hn::Set(d, random.round());
        auto key0 = hn::Set(d, random.key()[0]);
        auto key1 = hn::Set(d, random.key()[1]);
        for (int round = 0; round < 10; ++round) {
            const auto product0 = multiply(0xD2511F53U, c0);
            const auto product1 = multiply(0xCD9E8D57U, c2);
            c0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(product1), c1), key0);
            c1 = product1;
            c2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(product0), c3), key1);
            c3 = product0;
            key0 = hn::Add(key0, hn::Set(d, 0x9E3779B9U));
            key1 = hn::Add(key1, hn::Set(d, 0xBB67AE85U));
        }
        hn::StoreInterleaved4(low(c0), low(c1), low(c2), low(c3), half, words + 4 * b);
    }
}
#endif

void dropout_map(std::size_t n, const Random& random, std::uint64_t first, float rate, const float* x, float* y) {
    constexpr std::size_t capacity = 512;
    alignas(64) std::uint32_t words[capacity];
    const Floats d;
    const hn::RebindToUnsigned<Floats> du;
    const auto threshold = hn::Set(du, static_cast<std::uint32_t>(std::ceil(static_cast<double>(rate) * 0x1p32)));
    const auto scale = hn::Set(d, 1.0F / (1.0F - rate));
    const auto body = [=](const std::uint32_t* word, const float* a, float* b) HWY_ATTR {
        const auto dropped = hn::RebindMask(d, hn::Lt(hn::LoadU(du, word), threshold));
        hn::StoreU(hn::IfThenZeroElse(dropped, hn::Mul(hn::LoadU(d, a), scale)), d, b);
    };
    for (std::size_t i = 0; i < n;) {
        const std::size_t skipped = (first + i) % 4;
        const std::size_t piece = std::min(capacity - skipped, n - i);
        philox_words(random, (first + i) / 4, (skipped + piece + 3) / 4, words);
        in_steps<float_lanes>(piece, body, static_cast<const std::uint32_t*>(words + skipped), x + i, y + i);
        i += piece;
    }
}

}  // namespace HWY_NAMESPACE
}  // namespace silosum::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace silosum::kernels {
namespace {

HWY_EXPORT(relu_map);
HWY_EXPORT(relu_gradient);
HWY_EXPORT(tanh_map);
HWY_EXPORT(tanh_gradient);
HWY_EXPORT(sigmoid_map);
HWY_EXPORT(sigmoid_gradient);
HWY_EXPORT(gelu_map);
HWY_EXPORT(gelu_gradient);
HWY_EXPORT(dropout_map);

using Map = void (*)(std::size_t, const float*, float*);
using Gradient = void (*)(std::size_t, const float*, const float*, float*);

void forward(Map f, std::size_t n, const float* x, float* y, const Threads& threads) {
    in_parallel(n, elementwise_grain, threads, [=](std::size_t begin, std::size_t end) { f(end - begin, x + begin, y + begin); });
}
void backward(Gradient f, std::size_t n, const float* x, const float* dy, float* dx, const Threads& threads) {
    in_parallel(n, elementwise_grain, threads,
                [=](std::size_t begin, std::size_t end) { f(end - begin, x + begin, dy + begin, dx + begin); });
}

}  // namespace

void relu_forward(std::size_t n, const float* x, float* y, const Threads& threads) {
    forward(HWY_DYNAMIC_DISPATCH(relu_map), n, x, y, threads);
}
void relu_backward(std::size_t n, const float* y, const float* dy, float* dx, const Threads& threads) {
    backward(HWY_DYNAMIC_DISPATCH(relu_gradient), n, y, dy, dx, threads);
}
void tanh_forward(std::size_t n, const float* x, float* y, const Threads& threads) {
    forward(HWY_DYNAMIC_DISPATCH(tanh_map), n, x, y, threads);
}
void tanh_backward(std::size_t n, const float* y, const float* dy, float* dx, const Threads& threads) {
    backward(HWY_DYNAMIC_DISPATCH(tanh_gradient), n, y, dy, dx, threads);
}
void sigmoid_forward(std::size_t n, const float* x, float* y, const Threads& threads) {
    forward(HWY_DYNAMIC_DISPATCH(sigmoid_map), n, x, y, threads);
}
void sigmoid_backward(std::size_t n, const float* y, const float* dy, float* dx, const Threads& threads) {
    backward(HWY_DYNAMIC_DISPATCH(sigmoid_gradient), n, y, dy, dx, threads);
}
void gelu_forward(std::size_t n, const float* x, float* y, const Threads& threads) {
    forward(HWY_DYNAMIC_DISPATCH(gelu_map), n, x, y, threads);
}
void gelu_backward(std::size_t n, const float* x, const float* dy, float* dx, const Threads& threads) {
    backward(HWY_DYNAMIC_DISPATCH(gelu_gradient), n, x, dy, dx, threads);
}

void dropout(std::size_t n, const Random& random, std::uint64_t first, float rate, const float* x, float* y, const Threads& threads) {
    const auto step = HWY_DYNAMIC_DISPATCH(dropout_map);
    in_parallel(n, elementwise_grain, threads,
                [&](std::size_t begin, std::size_t end) { step(end - begin, random, first + begin, rate, x + begin, y + begin); });
}

}  // namespace silosum::kernels
#endif

// Vectorised encoding, decoding and wrapping sums. Every operation is exact or a single IEEE rounding in double, so that all
// instruction sets give the same words.
#include "kernels/simd.hpp"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/fixed_point.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
//
#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernels/fixed_point.hpp"
#include "kernels/parallel.hpp"
#include "kernels/steps-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace silosum::kernels {
namespace HWY_NAMESPACE {

using DoubleVector = hn::Vec<Doubles>;
using Words64 = hn::RebindToUnsigned<Doubles>;
using HalfWords = hn::Rebind<std::uint32_t, Doubles>;  // as many 32-bit words as a vector holds doubles

/// Coordinates that are looked at together; whether all lie in the range is asked once for each piece.
inline constexpr std::size_t encode_piece = 128;
/// How far ahead coordinates are asked for: what a processor fetches by itself stops at the end of each page. In every step a little, as
/// many at once would wait for places.
inline constexpr std::size_t encode_ahead = 512;

HWY_INLINE DoubleVector difference(const float* local, const float* global) {
    return hn::Sub(load_doubles(local), load_doubles(global));
}

/// Clamp and multiply; `inside` stays true in a lane only while the clamp changes nothing (NaN is never inside).
struct Scaling {
    DoubleVector range, factor;
    explicit HWY_INLINE Scaling(const EncodeSettings& settings)
        : range(hn::Set(Doubles(), settings.range)), factor(hn::Set(Doubles(), settings.factor)) {}
    HWY_INLINE DoubleVector operator()(DoubleVector u, hn::Mask<Doubles>& inside) const {
        const auto clamped = hn::Min(hn::Max(u, hn::Neg(range)), range);
        inside = hn::And(inside, hn::Eq(clamped, u));
        return hn::Mul(clamped, factor);
    }
};

/// Nearest even integer of |z| < 2^51, modulo 2^32, in the low halves: at 1.5 * 2^52 a double's last place is 1.
HWY_INLINE hn::Vec<Words64> rounded_low(DoubleVector z) {
    return hn::BitCast(Words64(), hn::Add(z, hn::Set(Doubles(), 0x1.8p52)));
}

/// Nearest even integer of |z| <= 2^52. The magnitude is rounded, as |z| + 2^52 has last place 1 up to 2^53, and gets its sign back.
HWY_INLINE hn::Vec<Words64> rounded(DoubleVector z) {
    const Doubles d;
    const hn::RebindToSigned<Doubles> di;
    const auto two52 = hn::Set(d, 0x1p52);
    const auto magnitude = hn::Sub(hn::BitCast(di, hn::Add(hn::Abs(z), two52)), hn::BitCast(di, two52));
    const auto sign = hn::BroadcastSignBit(hn::BitCast(di, z));
    return hn::BitCast(Words64(), hn::Sub(hn::Xor(magnitude, sign), sign));
}

template <Store store, class D, class V, class Word>
HWY_INLINE void store_words(D d, V v, Word* words) {
    if constexpr (store == Store::add) v = hn::Add(v, hn::LoadU(d, words));
    if constexpr (store == Store::stream) {
        hn::Stream(v, d, words);
    } else {
        hn::StoreU(v, d, words);
    }
}

/// The integer that a word is, nearest even, in 64 bits of which a narrower word takes the lowest.
template <class Word>
HWY_INLINE hn::Vec<Words64> integer_of(DoubleVector z) {
    if constexpr (sizeof(Word) == 4) return rounded_low(z);
    return rounded(z);
}
HWY_INLINE hn::Vec<HalfWords> narrowed(hn::Vec<Words64> integers, const std::uint32_t*) {
    return hn::TruncateTo(HalfWords(), integers);
}
HWY_INLINE hn::Vec<Words64> narrowed(hn::Vec<Words64> integers, const std::uint64_t*) {
    return integers;
}
HWY_INLINE HalfWords lanes_of(const std::uint32_t*) {
    return {};
}
HWY_INLINE Words64 lanes_of(const std::uint64_t*) {
    return {};
}

template <class V>
HWY_INLINE V added(V v) {
    return v;
}
template <class V, class... Rest>
HWY_INLINE V added(V v, Rest... rest) {
    return hn::Add(v, added(rest...));
}

/// Also behind the end of an array, as who encodes one piece is likely to go on with the next: such an address is asked for, never read.
HWY_INLINE void fetch(const float* values) {
    hwy::Prefetch(reinterpret_cast<const char*>(reinterpret_cast<std::uintptr_t>(values) + encode_ahead * sizeof(float)));
}

/// The encodings of local[at + i] - global[i] of some updates, added up in registers. Returns whether all coordinates of all of them lie in
/// the range.
template <Store store, class Word, std::size_t... u>
HWY_INLINE bool add_encodings(std::size_t n, const SummedUpdate* updates, std::size_t at, const float* global, double range, Word* words,
                              std::index_sequence<u...>) {
    const Scaling scalings[] = {Scaling({.range = range, .factor = updates[u].factor})...};
    auto inside = hn::Eq(scalings[0].range, scalings[0].range);
    const auto body = [&inside, &scalings](const float* x, Word* z, const auto*... y) HWY_ATTR {
        fetch(x);
        (fetch(y), ...);
        const auto from = load_doubles(x);
        const auto sum = added(integer_of<Word>(scalings[u](hn::Sub(load_doubles(y), from), inside))...);
        store_words<store>(lanes_of(z), narrowed(sum, z), z);
    };
    in_steps<double_lanes>(n, body, global, words, (updates[u].local + at)...);
    return hn::AllTrue(Doubles(), inside);
}

/// Counts what add_encodings found to be outside; rare.
HWY_NOINLINE EncodeCount count_outside(std::size_t n, const float* local, const float* global, double range) {
    const Doubles d;
    std::size_t beyond = 0;
    std::size_t finite = 0;
    const auto body = [&](const float* y, const float* x) HWY_ATTR {
        const auto u = hn::Abs(difference(y, x));
        const auto is_finite = hn::Le(u, hn::Set(d, std::numeric_limits<double>::max()));
        beyond += hn::CountTrue(d, hn::And(is_finite, hn::Gt(u, hn::Set(d, range))));
        finite += hn::CountTrue(d, is_finite);
    };
    in_steps<double_lanes>(n, body, local, global);
    const std::size_t padded = (n + double_lanes - 1) / double_lanes * double_lanes;  // padding counts as finite
    return {.clipped = beyond, .not_finite = padded - finite};
}

template <Store store, std::size_t group, class Word>
HWY_INLINE void encode_group(std::size_t n, std::size_t at, SummedUpdate* updates, const float* global, double range, Word* words) {
    for (std::size_t i = 0; i < n; i += encode_piece) {
        const std::size_t piece = std::min(encode_piece, n - i);
        if (add_encodings<store>(piece, updates, at + i, global + at + i, range, words + i, std::make_index_sequence<group>())) continue;
        for (std::size_t u = 0; u < group; ++u) {
            const EncodeCount outside = count_outside(piece, updates[u].local + at + i, global + at + i, range);
            updates[u].count.clipped += outside.clipped;
            updates[u].count.not_finite += outside.not_finite;
        }
    }
    if constexpr (store == Store::stream) hwy::FlushStream();
}

template <class Word>
HWY_INLINE EncodeCount encode_to(std::size_t n, const float* local, const float* global, const EncodeSettings& settings, Store store,
                                 Word* words) {
    SummedUpdate update{.local = local, .factor = settings.factor};
    const bool aligned = reinterpret_cast<std::uintptr_t>(words) % (double_lanes * sizeof(Word)) == 0;
    if (store == Store::add) {
        encode_group<Store::add, 1>(n, 0, &update, global, settings.range, words);
    } else if (store == Store::stream && aligned) {
        encode_group<Store::stream, 1>(n, 0, &update, global, settings.range, words);
    } else {
        encode_group<Store::write, 1>(n, 0, &update, global, settings.range, words);
    }
    return update.count;
}

EncodeCount encode32(std::size_t n, const float* local, const float* global, const EncodeSettings& settings, Store store,
                     std::uint32_t* words) {
    return encode_to(n, local, global, settings, store, words);
}
EncodeCount encode64(std::size_t n, const float* local, const float* global, const EncodeSettings& settings, Store store,
                     std::uint64_t* words) {
    return encode_to(n, local, global, settings, store, words);
}

template <Store store, class Word>
HWY_INLINE void encode_some(std::size_t n, std::size_t at, std::size_t group, SummedUpdate* updates, const float* global, double range,
                            Word* words) {
    switch (group) {
        case 1:
            return encode_group<store, 1>(n, at, updates, global, range, words);
        case 2:
            return encode_group<store, 2>(n, at, updates, global, range, words);
        case 3:
            return encode_group<store, 3>(n, at, updates, global, range, words);
        default:
            return encode_group<store, 4>(n, at, updates, global, range, words);
    }
}

template <class Word>
HWY_INLINE void encode_sum_of(std::size_t n, std::size_t at, std::span<SummedUpdate> updates, const float* global, double range,
                              Word* words) {
    constexpr std::size_t most = 4;  // at once: their constants and sums stay in registers
    if (updates.empty()) std::fill_n(words, n, Word{0});
    for (std::size_t u = 0; u < updates.size(); u += most) {
        const std::size_t group = std::min(most, updates.size() - u);
        if (u == 0) {
            encode_some<Store::write>(n, at, group, updates.data(), global, range, words);
        } else {
            encode_some<Store::add>(n, at, group, updates.data() + u, global, range, words);
        }
    }
}

void encode_sum32(std::size_t n, std::size_t at, std::span<SummedUpdate> updates, const float* global, double range, std::uint32_t* words) {
    encode_sum_of(n, at, updates, global, range, words);
}
void encode_sum64(std::size_t n, std::size_t at, std::span<SummedUpdate> updates, const float* global, double range, std::uint64_t* words) {
    encode_sum_of(n, at, updates, global, range, words);
}

HWY_INLINE DoubleVector signed_value(const std::uint32_t* words) {
    const hn::Rebind<std::int32_t, Doubles> d;
    return hn::PromoteTo(Doubles(), hn::BitCast(d, hn::LoadU(HalfWords(), words)));
}
HWY_INLINE DoubleVector signed_value(const std::uint64_t* words) {
    const hn::RebindToSigned<Doubles> d;
    return hn::ConvertTo(Doubles(), hn::BitCast(d, hn::LoadU(Words64(), words)));
}

/// Quotients by one divisor, each rounded once. Where the processor has a fused multiply-add no division is needed: with the reciprocal
/// rounded to nearest and a quotient within one last place, a last step of Newton's gives the rounded quotient (Markstein 1990; Muller et
/// al., Handbook of Floating-Point Arithmetic, 2010, 5.3). Quotients must be far from the ends of double's range.
class Quotient {
public:
    explicit HWY_INLINE Quotient(double divisor) : divisor_(hn::Set(Doubles(), divisor)), reciprocal_(hn::Set(Doubles(), 1 / divisor)) {}
    HWY_INLINE DoubleVector operator()(DoubleVector a) const {
#if HWY_NATIVE_FMA
        const auto near = nearer(a, hn::Mul(a, reciprocal_));
        return nearer(a, near);
#else
        return hn::Div(a, divisor_);
#endif
    }

private:
    HWY_INLINE DoubleVector nearer(DoubleVector a, DoubleVector quotient) const {
        return hn::MulAdd(hn::NegMulAdd(quotient, divisor_, a), reciprocal_, quotient);
    }
    DoubleVector divisor_, reciprocal_;
};

/// streaming: past the caches, which a slice of a large model would only sweep; mean is then aligned to whole vectors.
template <bool streaming, class Word>
HWY_INLINE double decode_mean_of(std::size_t n, const Word* words, double unit, double divisor, double* mean) {
    const Doubles d;
    const Quotient quotient(divisor);
    auto largest = hn::Zero(d);
    const auto body = [&largest, d, unit, quotient](const Word* z, double* y) HWY_ATTR {
        const auto value = quotient(hn::Mul(signed_value(z), hn::Set(d, unit)));
        largest = hn::Max(largest, hn::Abs(value));  // words that pad the last vector are 0
        if constexpr (streaming) {
            hn::Stream(value, d, y);
        } else {
            hn::StoreU(value, d, y);
        }
    };
    in_steps<double_lanes>(n, body, words, mean);
    if constexpr (streaming) hwy::FlushStream();  // other ranks may read it
    return hn::GetLane(hn::MaxOfLanes(d, largest));
}

template <class Word>
HWY_INLINE double decode_mean_to(std::size_t n, const Word* words, double unit, double divisor, double* mean) {
    const bool aligned = reinterpret_cast<std::uintptr_t>(mean) % (double_lanes * sizeof(double)) == 0;
    return aligned ? decode_mean_of<true>(n, words, unit, divisor, mean) : decode_mean_of<false>(n, words, unit, divisor, mean);
}

double decode_mean32(std::size_t n, const std::uint32_t* words, double unit, double divisor, double* mean) {
    return decode_mean_to(n, words, unit, divisor, mean);
}
double decode_mean64(std::size_t n, const std::uint64_t* words, double unit, double divisor, double* mean) {
    return decode_mean_to(n, words, unit, divisor, mean);
}

/// sum[i] (+)= words of 1 to 4 arrays.
template <Store store, class Word, class... Arrays>
HWY_INLINE void add_arrays(std::size_t n, Word* sum, const Arrays*... words) {
    const hn::ScalableTag<Word> d;
    const auto body = [=](Word* total, const auto* first, const auto*... others) HWY_ATTR {
        auto v = hn::LoadU(d, first);
        ((v = hn::Add(v, hn::LoadU(d, others))), ...);
        store_words<store>(d, v, total);
    };
    in_steps<hn::MaxLanes(d)>(n, body, sum, words...);
}

template <Store store, class Word>
HWY_INLINE void add_group(std::size_t n, std::size_t group, const Word* const* words, std::size_t at, Word* sum) {
    switch (group) {
        case 1:
            return add_arrays<store>(n, sum, words[0] + at);
        case 2:
            return add_arrays<store>(n, sum, words[0] + at, words[1] + at);
        case 3:
            return add_arrays<store>(n, sum, words[0] + at, words[1] + at, words[2] + at);
        default:
            return add_arrays<store>(n, sum, words[0] + at, words[1] + at, words[2] + at, words[3] + at);
    }
}

template <class Word>
HWY_INLINE void sum_pieces(std::size_t n, std::size_t parts, const Word* const* words, Word* sum, Store store) {
    constexpr std::size_t group = 4;  // arrays at a time: the piece of the sum is read and written once for each group
    constexpr std::size_t piece = 8192 / sizeof(Word);
    if (parts == 0) std::fill_n(sum, n, Word{0});
    const bool is_aligned = reinterpret_cast<std::uintptr_t>(sum) % (hn::MaxLanes(hn::ScalableTag<Word>()) * sizeof(Word)) == 0;
    if (store == Store::stream && parts > 0 && parts <= group && is_aligned) {
        add_group<Store::stream>(n, parts, words, 0, sum);
        hwy::FlushStream();
        return;
    }
    for (std::size_t i = 0; i < n; i += piece) {
        const std::size_t size = std::min(piece, n - i);
        for (std::size_t p = 0; p < parts; p += group) {
            const std::size_t arrays = std::min(group, parts - p);
            if (p == 0) {
                add_group<Store::write>(size, arrays, words, i, sum + i);
            } else {
                add_group<Store::add>(size, arrays, words + p, i, sum + i);
            }
        }
    }
}

void sum_words32(std::size_t n, std::size_t parts, const std::uint32_t* const* words, std::uint32_t* sum, Store store) {
    sum_pieces(n, parts, words, sum, store);
}
void sum_words64(std::size_t n, std::size_t parts, const std::uint64_t* const* words, std::uint64_t* sum, Store store) {
    sum_pieces(n, parts, words, sum, store);
}
void add_scaled_step(std::size_t n, double rate, const double* mean, float* x) {
    const Doubles d;
    const HalfFloats half;
    // Product and sum are rounded one by one: the same on processors without fused multiply-add.
    const auto body = [=](const double* m, float* value) HWY_ATTR {
        const auto moved = hn::Add(load_doubles(value), hn::Mul(hn::Set(d, rate), hn::LoadU(d, m)));
        hn::StoreU(hn::DemoteTo(half, moved), half, value);
    };
    in_steps<double_lanes>(n, body, mean, x);
}

double largest_difference_of(std::size_t n, const float* local, const float* global) {
    const Doubles d;
    auto largest = hn::Zero(d);
    auto finite = hn::Eq(largest, largest);
    const auto body = [&](const float* y, const float* x) HWY_ATTR {
        const auto u = hn::Abs(difference(y, x));
        finite = hn::And(finite, hn::Le(u, hn::Set(d, std::numeric_limits<double>::max())));
        largest = hn::Max(largest, u);
    };
    in_steps<double_lanes>(n, body, local, global);
    return hn::AllTrue(d, finite) ? hn::GetLane(hn::MaxOfLanes(d, largest)) : std::numeric_limits<double>::infinity();
}

}  // namespace HWY_NAMESPACE
}  // namespace silosum::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace silosum::kernels {
namespace {

HWY_EXPORT(encode32);
HWY_EXPORT(encode64);
HWY_EXPORT(encode_sum32);
HWY_EXPORT(encode_sum64);
HWY_EXPORT(decode_mean32);
HWY_EXPORT(decode_mean64);
HWY_EXPORT(sum_words32);
HWY_EXPORT(sum_words64);
HWY_EXPORT(add_scaled_step);
HWY_EXPORT(largest_difference_of);

}  // namespace

EncodeCount encode(std::size_t n, const float* local, const float* global, const EncodeSettings& settings, Store store,
                   std::uint32_t* words) {
    return HWY_DYNAMIC_DISPATCH(encode32)(n, local, global, settings, store, words);
}
EncodeCount encode(std::size_t n, const float* local, const float* global, const EncodeSettings& settings, Store store,
                   std::uint64_t* words) {
    return HWY_DYNAMIC_DISPATCH(encode64)(n, local, global, settings, store, words);
}

void encode_sum(std::size_t n, std::size_t at, std::span<SummedUpdate> updates, const float* global, double range, std::uint32_t* words) {
    HWY_DYNAMIC_DISPATCH(encode_sum32)(n, at, updates, global, range, words);
}
void encode_sum(std::size_t n, std::size_t at, std::span<SummedUpdate> updates, const float* global, double range, std::uint64_t* words) {
    HWY_DYNAMIC_DISPATCH(encode_sum64)(n, at, updates, global, range, words);
}

double decode_mean(std::size_t n, const std::uint32_t* words, double unit, double divisor, double* mean) {
    return HWY_DYNAMIC_DISPATCH(decode_mean32)(n, words, unit, divisor, mean);
}
double decode_mean(std::size_t n, const std::uint64_t* words, double unit, double divisor, double* mean) {
    return HWY_DYNAMIC_DISPATCH(decode_mean64)(n, words, unit, divisor, mean);
}

void sum_words(std::size_t n, std::size_t parts, const std::uint32_t* const* words, std::uint32_t* sum, Store store) {
    HWY_DYNAMIC_DISPATCH(sum_words32)(n, parts, words, sum, store);
}
void sum_words(std::size_t n, std::size_t parts, const std::uint64_t* const* words, std::uint64_t* sum, Store store) {
    HWY_DYNAMIC_DISPATCH(sum_words64)(n, parts, words, sum, store);
}

void add_scaled(std::size_t n, double rate, const double* mean, float* x, const Threads& threads) {
    in_parallel(n, elementwise_grain, threads, [&](std::size_t begin, std::size_t end) {
        HWY_DYNAMIC_DISPATCH(add_scaled_step)(end - begin, rate, mean + begin, x + begin);
    });
}

double largest_difference(std::size_t n, const float* local, const float* global) {
    return HWY_DYNAMIC_DISPATCH(largest_difference_of)(n, local, global);
}

}  // namespace silosum::kernels
#endif
